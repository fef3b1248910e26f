import { InputError } from '@infalign/core';

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: 'no such file; check the path',
  ENOTDIR: 'a part of this path is a file where a folder is needed; check the path',
  EISDIR: 'is a folder; name a file',
  EACCES: 'permission denied; check who may read or write it',
  EPERM: 'the operation is not permitted; check who may read or write it',
  EROFS: 'the file system is read-only; choose another place',
  ENOSPC: 'no space left on the disk; free some space, or choose another disk',
  EDQUOT: 'the disk quota is used up; free some space, or choose another disk',
  EFBIG: 'the file would grow beyond what this file system or limit allows; choose another disk',
  EMFILE: 'too many open files; raise the limit (ulimit -n)',
  ENAMETOOLONG: 'the file name is too long; choose a shorter one',
  EIO: 'the disk reported an error; check the disk',
  Z_DATA_ERROR: 'is not valid gzip data, although its name ends in .gz; compress it again, or rename it',
  Z_BUF_ERROR: 'is gzip data that ends too early; copy or compress it again',
};

/**
 * Turns what the operating system or the decompressor reports about a user's file into a message with a remedy.
 *
 * @param error - what was thrown
 * @param file - the file it is about, as the user named it
 * @param advice - put behind the remedy, where the caller knows more
 * @returns an `InputError` for the known causes; otherwise `error` itself
 */
export function fileError(error: unknown, file: string, advice = ''): unknown {
  if (!(error instanceof Error) || error instanceof InputError) return error;
  const remedy = 'code' in error && typeof error.code === 'string' ? REMEDIES[error.code] : undefined;
  return remedy === undefined ? error : new InputError(`${file}: ${remedy}${advice}`);
}
