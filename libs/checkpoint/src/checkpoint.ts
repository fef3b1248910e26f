import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { InputError } from '@infalign/core';
import { explained, syncFolder, writeDurably } from './atomic-file.js';
import { manifestName, partialEnding } from './checkpoint-name.js';
import {
  describeFiles,
  manifestText,
  parseManifest,
  verifyContent,
  type Checkpoint,
  type CheckpointFiles,
} from './manifest.js';

/**
 * Publishes a checkpoint: its folder appears whole or not at all, also after a crash. A folder of that name is replaced;
 * for an instant there is none. A `CheckpointStore` has no such instant.
 *
 * @param folder where it shall be
 * @param metadata JSON data that belongs to the files: stored in the same moment as they
 * @returns the content hash
 * @throws InputError if a file may not be part of a checkpoint, the disk is full or the place cannot be written to; earlier
 *   checkpoints are unharmed
 */
export function publishCheckpoint(folder: string, files: CheckpointFiles, metadata: unknown): string {
  const { manifest, contents } = describeFiles(files, metadata, folder);
  const store = dirname(folder);
  const partial = join(store, `.${basename(folder)}.${randomUUID()}${partialEnding}`);
  const replaced = join(store, `.${basename(folder)}.${randomUUID()}${partialEnding}`);
  try {
    mkdirSync(partial, { recursive: true });
    for (const [name, bytes] of contents) writeDurably(join(partial, name), bytes);
    writeDurably(join(partial, manifestName), manifestText(manifest));
    syncFolder(partial);
    if (existsSync(folder)) renameSync(folder, replaced);
    renameSync(partial, folder);
    syncFolder(store);
    return manifest.content_hash;
  } catch (error) {
    if (existsSync(replaced) && !existsSync(folder)) renameSync(replaced, folder);
    throw explained(error, folder);
  } finally {
    for (const left of [partial, replaced]) rmSync(left, { recursive: true, force: true });
  }
}

/** Whether a checkpoint was published there. */
export function hasCheckpoint(folder: string): boolean {
  return existsSync(join(folder, manifestName));
}

/**
 * Reads a checkpoint and verifies every byte of it.
 *
 * @param folder where `publishCheckpoint` put it, or where a folder store has it
 * @param expectedHash the content hash that it must have, where one is known
 * @throws InputError naming the file that is missing, damaged, or not the expected one
 */
export function readCheckpoint(folder: string, expectedHash?: string): Checkpoint {
  const manifest = parseManifest(read(join(folder, manifestName)).toString(), folder, expectedHash);
  const files = new Map<string, Buffer>();
  for (const [name, { sha256 }] of Object.entries(manifest.files)) {
    const path = join(folder, manifest.folder ?? '', name);
    const bytes = read(path);
    verifyContent(bytes, sha256, path);
    files.set(name, bytes);
  }
  return { files, metadata: manifest.metadata, contentHash: manifest.content_hash };
}

function read(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new InputError(
      `${path}: cannot be read (${code}). The checkpoint is incomplete: delete it and resume, or restore it from a copy.`,
    );
  }
}
