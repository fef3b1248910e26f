import { randomBytes } from 'node:crypto';
import { chmod, type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { fileError } from './file-error.js';

const compress = promisify(gzip);

/**
 * Writes a file that is either complete or not there: into a new file beside it, which takes its name at the end. What
 * was there under that name stays until then, and stays for good when anything fails. A name ending in `.gz` is
 * compressed. Something that is not an ordinary file, such as a pipe or `/dev/null`, is written to directly.
 *
 * @param file - where to
 * @param produce - calls `write` with one part after another, awaiting each; the part may be reused afterwards
 * @throws InputError naming the file, when it cannot be written or the disk is full
 */
export async function writeFileAtomically<Result>(
  file: string,
  produce: (write: (bytes: Uint8Array) => Promise<void>) => Promise<Result>,
): Promise<Result> {
  const failed = (error: unknown): never => {
    throw fileError(error, file);
  };
  const target = await realpath(file).catch((error: unknown) => (isMissing(error) ? file : failed(error)));
  const existing = await stat(target).catch((error: unknown) => (isMissing(error) ? undefined : failed(error)));
  const direct = existing !== undefined && !existing.isFile();
  const path = direct ? target : `${target}.${randomBytes(6).toString('hex')}.partial`;
  const handle: FileHandle = await open(path, direct ? 'w' : 'wx').catch(failed);
  try {
    const result = await produce(async (bytes) => {
      const packed = file.endsWith('.gz') ? await compress(bytes) : bytes; // gzip members may follow one another
      await writeAll(handle, packed).catch(failed);
    });
    if (!direct) {
      await handle.sync().catch(failed);
      await handle.close().catch(failed);
      if (existing !== undefined) await chmod(path, existing.mode).catch(failed);
      await rename(path, target).catch(failed);
    }
    return result;
  } catch (error) {
    if (!direct) await rm(path, { force: true });
    throw error;
  } finally {
    await handle.close();
  }
}

async function writeAll(handle: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let written = 0; written < bytes.length;) {
    written += (await handle.write(bytes, written)).bytesWritten;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT';
}
