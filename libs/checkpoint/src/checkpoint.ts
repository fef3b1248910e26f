import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { InputError } from '@infalign/core';
import { explained, syncFolder, writeDurably } from './atomic-file.js';

/** The files of a checkpoint by name, without folders: `model.safetensors`, `config.json`. */
export type CheckpointFiles = ReadonlyMap<string, string | Uint8Array>;

/** A checkpoint as read: its files are those that were published, byte for byte. */
export interface Checkpoint {
  readonly files: ReadonlyMap<string, Buffer>;
  /** What was stored with it: positions, statistics, settings. */
  readonly metadata: unknown;
  /** SHA-256 over names and contents of the files, hexadecimal: equal for equal weights wherever they lie. */
  readonly contentHash: string;
}

interface Manifest {
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly bytes: number }>>;
  readonly content_hash: string;
  readonly metadata: unknown;
}

const manifestName = 'manifest.json';

/**
 * Publishes a checkpoint: its folder appears whole or not at all, also after a crash. A folder of that name is replaced.
 *
 * @param folder where it shall be
 * @param metadata JSON data that belongs to the files: stored in the same moment as they
 * @returns the content hash
 * @throws InputError if the disk is full or the place cannot be written to; earlier checkpoints are unharmed
 */
export function publishCheckpoint(folder: string, files: CheckpointFiles, metadata: unknown): string {
  const store = dirname(folder);
  const partial = join(store, `.${basename(folder)}.${randomUUID()}.partial`);
  try {
    mkdirSync(partial, { recursive: true });
    const described = [...files].map(([name, content]) => {
      const bytes = typeof content === 'string' ? Buffer.from(content) : content;
      writeDurably(join(partial, name), bytes);
      return [name, { sha256: sha256(bytes), bytes: bytes.length }] as const;
    });
    const manifest: Manifest = {
      files: Object.fromEntries(described.sort(([a], [b]) => (a < b ? -1 : 1))),
      content_hash: contentHash(described.map(([name, file]) => [name, file.sha256])),
      metadata,
    };
    writeDurably(join(partial, manifestName), `${JSON.stringify(manifest, null, 2)}\n`);
    syncFolder(partial);
    rmSync(folder, { recursive: true, force: true });
    renameSync(partial, folder);
    syncFolder(store);
    return manifest.content_hash;
  } catch (error) {
    rmSync(partial, { recursive: true, force: true });
    throw explained(error, folder);
  }
}

/** Whether a checkpoint was published there. */
export function hasCheckpoint(folder: string): boolean {
  return existsSync(join(folder, manifestName));
}

/**
 * Reads a checkpoint and verifies every byte of it.
 *
 * @param expectedHash the content hash that it must have, where one is known
 * @throws InputError naming the file that is missing, damaged, or not the expected one
 */
export function readCheckpoint(folder: string, expectedHash?: string): Checkpoint {
  const manifest = readManifest(folder);
  const files = new Map<string, Buffer>();
  for (const [name, { sha256: expected }] of Object.entries(manifest.files)) {
    const bytes = read(join(folder, name));
    if (sha256(bytes) !== expected) {
      throw new InputError(
        `${join(folder, name)}: its content is not what was published (sha256 ${sha256(bytes)}, expected ${expected}). ` +
          'The checkpoint is damaged: delete it and resume, or restore it from a copy.',
      );
    }
    files.set(name, bytes);
  }
  const hash = contentHash(Object.entries(manifest.files).map(([name, file]) => [name, file.sha256]));
  if (hash !== manifest.content_hash || (expectedHash !== undefined && hash !== expectedHash)) {
    throw new InputError(
      `${folder}: has content hash ${hash}, expected ${expectedHash ?? manifest.content_hash}. It is another checkpoint ` +
        'than the one asked for: restore the right one from a copy.',
    );
  }
  return { files, metadata: manifest.metadata, contentHash: hash };
}

/**
 * Deletes all checkpoints of a store but those named, and what an interrupted publication left.
 *
 * @param store the folder that the checkpoints lie in
 */
export function retainCheckpoints(store: string, names: ReadonlySet<string>): void {
  if (!existsSync(store)) return;
  for (const name of readdirSync(store)) {
    if (name.endsWith('.partial') || (hasCheckpoint(join(store, name)) && !names.has(name))) {
      rmSync(join(store, name), { recursive: true, force: true });
    }
  }
}

function readManifest(folder: string): Manifest {
  const path = join(folder, manifestName);
  const text = read(path).toString();
  let manifest: Partial<Manifest> | null;
  try {
    manifest = JSON.parse(text) as Partial<Manifest> | null;
  } catch {
    manifest = null;
  }
  if (typeof manifest?.files !== 'object' || typeof manifest.content_hash !== 'string') {
    throw new InputError(
      `${path}: is not a checkpoint's manifest. Delete the checkpoint and resume, or restore it from a copy.`,
    );
  }
  for (const name of Object.keys(manifest.files)) {
    if (name !== basename(name))
      throw new InputError(`${path}: names a file outside its folder (${name}), which is refused.`);
  }
  return manifest as Manifest;
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

function sha256(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function contentHash(files: readonly (readonly [name: string, sha256: string])[]): string {
  const lines = files.map(([name, hash]) => `${hash}  ${name}\n`).sort();
  return createHash('sha256').update(lines.join('')).digest('hex');
}
