import { readFile } from 'node:fs/promises';
import { InputError } from '@infalign/core';

/**
 * Reads a configuration file.
 *
 * @param what what it should be, with its article, for messages
 * @throws InputError when it cannot be read
 */
export async function readConfiguration(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new InputError(`${path}: no such file; name ${what}`);
    if (code === 'EISDIR') throw new InputError(`${path}: is a folder; name ${what}`);
    if (code === 'EACCES') throw new InputError(`${path}: permission denied; check who may read it`);
    throw error;
  }
}
