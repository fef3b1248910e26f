import { createHash } from 'node:crypto';
import { InputError } from '@infalign/core';
import { checkFileName, isHash, manifestName } from './checkpoint-name.js';

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

/** What `manifest.json` says of a checkpoint. */
export interface Manifest {
  readonly files: Readonly<Record<string, { readonly sha256: string; readonly bytes: number }>>;
  readonly content_hash: string;
  /** The folder beside the manifest that the files lie in, named by the content hash. Without it they lie beside the manifest. */
  readonly folder?: string;
  readonly metadata: unknown;
}

/**
 * Describes files that are to be published.
 *
 * @param place of the checkpoint, for messages
 * @throws InputError if a file may not be part of a checkpoint
 */
export function describeFiles(
  files: CheckpointFiles,
  metadata: unknown,
  place: string,
): { readonly manifest: Manifest; readonly contents: ReadonlyMap<string, Uint8Array> } {
  const contents = new Map<string, Uint8Array>();
  for (const [name, content] of [...files].sort(([a], [b]) => (a < b ? -1 : 1))) {
    checkFileName(name, place);
    contents.set(name, typeof content === 'string' ? Buffer.from(content) : content);
  }
  const described = Object.fromEntries(
    [...contents].map(([name, bytes]) => [name, { sha256: hashOf(bytes), bytes: bytes.length }]),
  );
  return { manifest: { files: described, content_hash: contentHash(described), metadata }, contents };
}

/** A manifest as its file has it. */
export function manifestText(manifest: Manifest): string {
  return `${JSON.stringify(manifest, null, 2)}\n`;
}

/**
 * Reads a manifest and checks that it agrees with itself.
 *
 * @param folder that it lies in, for messages
 * @param expectedHash the content hash that the checkpoint must have, where one is known
 * @throws InputError if it is damaged, names files that a checkpoint may not have, or is of another checkpoint
 */
export function parseManifest(text: string, folder: string, expectedHash?: string): Manifest {
  let manifest: unknown;
  try {
    manifest = JSON.parse(text);
  } catch {
    manifest = undefined;
  }
  const place = `${folder}/${manifestName}`;
  if (!isManifest(manifest)) {
    throw new InputError(
      `${place}: is not a checkpoint's manifest. Delete the checkpoint and resume, or restore it from a copy.`,
    );
  }
  for (const name of Object.keys(manifest.files)) checkFileName(name, place);
  const hash = contentHash(manifest.files);
  if (hash !== manifest.content_hash || (manifest.folder ?? hash) !== hash) {
    throw new InputError(
      `${place}: its content is not what was published (content hash ${hash}, expected ${manifest.content_hash}). ` +
        'The checkpoint is damaged: delete it and resume, or restore it from a copy.',
    );
  }
  if (expectedHash !== undefined && hash !== expectedHash) {
    throw new InputError(
      `${folder}: has content hash ${hash}, expected ${expectedHash}. It is another checkpoint than the one asked for: ` +
        'restore the right one from a copy.',
    );
  }
  return manifest;
}

/**
 * Checks a file's content.
 *
 * @param expected its SHA-256, as the manifest has it
 * @param place of the file, for the message
 * @throws InputError if it is another
 */
export function verifyContent(bytes: Uint8Array, expected: string, place: string): void {
  const found = hashOf(bytes);
  if (found === expected) return;
  throw new InputError(
    `${place}: its content is not what was published (sha256 ${found}, expected ${expected}). ` +
      'The checkpoint is damaged: delete it and resume, or restore it from a copy.',
  );
}

function isManifest(value: unknown): value is Manifest {
  if (typeof value !== 'object' || value === null) return false;
  const { files, content_hash: hash, folder } = value as Partial<Manifest>;
  return (
    typeof files === 'object' &&
    files !== null &&
    Object.values(files).every((file) => typeof file?.sha256 === 'string' && isHash(file.sha256)) &&
    typeof hash === 'string' &&
    (folder === undefined || (typeof folder === 'string' && isHash(folder)))
  );
}

/** The SHA-256 of a file, hexadecimal. */
export function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function contentHash(files: Manifest['files']): string {
  const lines = Object.entries(files).map(([name, file]) => `${file.sha256}  ${name}\n`);
  return createHash('sha256').update(lines.sort().join('')).digest('hex');
}
