import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from './file-error.js';

/** What to do about a full disk, when it is the temporary files that fill it. */
export const TEMPORARY_FILE_ADVICE = ' (temporary files go here; set TMPDIR to choose another folder)';

/**
 * Runs `use`, which may ask for a temporary folder: a new, empty one, made when it is first asked for, and removed again
 * whatever happens.
 *
 * @param parent - where to make it
 */
export async function withTemporaryFolder<Result>(
  parent: string,
  use: (temporaryFolder: () => string) => Promise<Result>,
): Promise<Result> {
  let folder: string | undefined;
  try {
    return await use(() => {
      try {
        return (folder ??= mkdtempSync(join(parent, 'infalign-')));
      } catch (error) {
        throw fileError(error, parent, TEMPORARY_FILE_ADVICE);
      }
    });
  } finally {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}
