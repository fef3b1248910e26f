import { randomUUID } from 'node:crypto';
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { partialEnding } from './checkpoint-name.js';
import { StoreUnavailable } from './store-unavailable.js';

/**
 * Writes a file so that it is there whole or not at all, also after a crash: the bytes reach the disk under another name,
 * which then takes the place of the file. Makes missing folders.
 *
 * @throws InputError if the disk is full or the place cannot be written to; what stood there before is unharmed
 */
export function writeFileAtomically(path: string, content: string | Uint8Array): void {
  const partial = `${path}.${randomUUID()}${partialEnding}`;
  try {
    mkdirSync(dirname(path), { recursive: true });
    try {
      writeDurably(partial, content);
      renameSync(partial, path);
    } catch (error) {
      rmSync(partial, { force: true });
      throw error;
    }
    syncFolder(dirname(path));
  } catch (error) {
    throw explained(error, path);
  }
}

/** Writes a file and waits until it is on the disk. */
export function writeDurably(path: string, content: string | Uint8Array): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const file = openSync(path, 'w');
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
}

/** A renamed file survives a power cut only when its folder is on the disk too. */
export function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

const remedies: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full: free some space, then resume',
  EDQUOT: 'the disk quota is used up: free some space, then resume',
  EFBIG: 'the file would be larger than this process may write: raise the limit, then resume',
  EACCES: 'permission is denied: choose a folder that you have rights to',
  EROFS: 'the file system is read-only: choose another folder',
  ENAMETOOLONG: 'the path is too long: choose a shorter one',
  ENOTDIR: 'a part of the path is a file: choose another folder',
  EEXIST: 'a part of the path is a file: choose another folder',
  EISDIR: 'it is a folder: choose another name',
};

/** An error of the file system that people can mend becomes one message with the place and the remedy. */
export function explained(error: unknown, path: string, done: 'written' | 'read' = 'written'): unknown {
  const remedy = remedies[errorCode(error)];
  return remedy ? new StoreUnavailable(`${path}: cannot be ${done}: ${remedy}.`) : error;
}

/** The code of an error of the file system (`ENOENT`), or an empty text. */
export function errorCode(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
