import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** Bytes of which any part can be read: a file too large to hold at once, or a buffer. */
export interface ByteSource {
  /** Number of bytes. */
  readonly size: number;
  /** The bytes from `start` to before `end`, which are within the size. */
  read(start: number, end: number): Buffer;
}

/** The bytes of a buffer, without a copy. */
export function bufferSource(bytes: Buffer): ByteSource {
  return { size: bytes.length, read: (start, end) => bytes.subarray(start, end) };
}

/**
 * Opens a file as a source; `close` it.
 *
 * @throws Error of the file system if it cannot be opened, or if it became shorter when it is read
 */
export function fileSource(path: string): ByteSource & { close(): void } {
  const file = openSync(path, 'r');
  return {
    size: fstatSync(file).size,
    read(start, end) {
      const bytes = Buffer.allocUnsafe(end - start);
      // The system reads at most 2 GiB at once.
      for (let done = 0; done < bytes.length;) {
        const count = readSync(file, bytes, done, Math.min(bytes.length - done, 2 ** 30), start + done);
        if (count === 0) throw new Error(`${path} became shorter while it was read`);
        done += count;
      }
      return bytes;
    },
    close: () => closeSync(file),
  };
}
