import { type FileHandle, open } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { InputError } from '@infalign/core';
import { fileError } from './file-error.js';

/** Is told how far a long piece of work has come; one piece at a time. */
export interface ProgressListener {
  /**
   * @param name - of the work, as a user would say it
   * @param total - how much there is to do, where it is known
   * @param unit - what is counted
   */
  start(name: string, total: number | undefined, unit: string): void;
  /** So much more is done. */
  advance(amount: number): void;
  /** All is done. */
  done(): void;
}

/** How a file of lines is read. */
export interface LineReading {
  /** Ends the reading with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
  /** Told how many bytes of the file (compressed ones, for `.gz`) have been read. */
  readonly progress?: ProgressListener | undefined;
  /** Awaited after every block of about 1 MiB of lines: the place to write what was made of them. */
  readonly afterBlock?: (() => Promise<void>) | undefined;
}

/**
 * Receives one line that is not blank.
 *
 * @param bytes - UTF-8 text that holds the line; reused once the visit is over
 * @param start - of the line
 * @param end - of the line, its line feed excluded. No byte at `end` means that the line feed is missing.
 * @param line - number of the line, from 1
 */
export type LineVisitor = (bytes: Buffer, start: number, end: number, line: number) => void;

const LINE_FEED = 0x0a;
const isBlank = (byte: number) => byte === 0x20 || byte === 0x09 || byte === 0x0d;
const CHUNK_BYTES = 1 << 20;
const LONGEST_LINE_BYTES = 1 << 28;

/**
 * Visits every line of a file that is not blank, in memory that does not grow with the file. A name ending in `.gz` is
 * decompressed; a byte-order mark at the start is skipped.
 *
 * @throws InputError naming the file, when it cannot be read, is not valid gzip, is empty, or has a line above 256 MiB
 */
export async function forEachLine(file: string, visit: LineVisitor, reading: LineReading = {}): Promise<void> {
  let buffer = Buffer.allocUnsafe(2 * CHUNK_BYTES);
  let filled = 0;
  let line = 0;
  let visited = 0;
  let atStart = true;

  const visitLines = (until: number) => {
    for (let start = 0; start < until;) {
      const lineFeed = buffer.indexOf(LINE_FEED, start);
      const end = lineFeed < 0 || lineFeed >= until ? until : lineFeed;
      line++;
      let first = start;
      while (first < end && isBlank(buffer[first]!)) first++;
      if (first < end) {
        visited++;
        visit(end === until ? buffer.subarray(0, until) : buffer, start, end, line);
      }
      start = end + 1;
    }
  };

  for await (const chunk of readChunks(file, reading, true)) {
    if (filled + chunk.length > buffer.length) {
      if (filled > LONGEST_LINE_BYTES) {
        throw new InputError(
          `${file}:${line + 1}: this line is longer than 256 MiB; write one JSON object a line, each ended by a line feed`,
        );
      }
      const larger = Buffer.allocUnsafe(2 * (filled + chunk.length));
      buffer.copy(larger, 0, 0, filled);
      buffer = larger;
    }
    chunk.copy(buffer, filled);
    let unscanned = filled;
    filled += chunk.length;
    if (atStart && filled >= 3) {
      atStart = false;
      unscanned = 0;
      if (buffer[0] === 0xef && buffer[1] === 0xbb && buffer[2] === 0xbf) {
        buffer.copyWithin(0, 3, filled);
        filled -= 3;
      }
    }
    const lastLineFeed = buffer.subarray(unscanned, filled).lastIndexOf(LINE_FEED);
    if (lastLineFeed < 0) continue;
    const until = unscanned + lastLineFeed + 1;
    visitLines(until);
    await reading.afterBlock?.();
    buffer.copyWithin(0, until, filled);
    filled -= until;
  }
  visitLines(filled);
  await reading.afterBlock?.();
  if (visited === 0) throw new InputError(`${file}: is empty; it needs one JSON object a line`);
}

/**
 * Reads the bytes of a file, piece by piece.
 *
 * @param decompress - whether a name ending in `.gz` is decompressed
 * @returns pieces of at most 1 MiB, each valid only until the next is asked for
 */
export async function* readChunks(
  file: string,
  { signal, progress }: Pick<LineReading, 'signal' | 'progress'>,
  decompress: boolean,
): AsyncGenerator<Buffer> {
  signal?.throwIfAborted();
  const aborted = whenAborted(signal);
  // Not merely a check in between: opening or reading a pipe may wait for ever.
  const unlessAborted = <Result>(work: Promise<Result>) => Promise.race([work, aborted.promise]);
  const opening = open(file);
  try {
    const handle = await unlessAborted(opening);
    const status = await handle.stat();
    progress?.start(`reading ${basename(file)}`, status.isFile() ? status.size : undefined, 'bytes');
    const pieces = readPieces(handle, progress);
    const chunks: AsyncIterable<Buffer> =
      decompress && file.endsWith('.gz')
        ? pipeline(pieces, copyPieces, createGunzip({ chunkSize: CHUNK_BYTES }), () => undefined)
        : pieces;
    const iterator = chunks[Symbol.asyncIterator]();
    for (;;) {
      const next = await unlessAborted(iterator.next());
      if (next.done === true) break;
      yield next.value;
    }
    progress?.done();
  } catch (error) {
    throw fileError(error, file);
  } finally {
    aborted.release();
    // Not awaited: an aborted reading may leave a pipe that never opens, or a read that never ends.
    opening.then((handle) => handle.close()).catch(() => undefined);
  }
}

/** One buffer is read into again and again: allocating one for each piece would leave much to the garbage collector. */
async function* readPieces(handle: FileHandle, progress: ProgressListener | undefined): AsyncGenerator<Buffer> {
  const buffer = Buffer.allocUnsafe(CHUNK_BYTES);
  for (;;) {
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, null);
    if (bytesRead === 0) return;
    progress?.advance(bytesRead);
    yield buffer.subarray(0, bytesRead);
  }
}

/** For a consumer that takes further pieces before it is done with one, as a decompressor does. */
async function* copyPieces(pieces: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  for await (const piece of pieces) yield Buffer.from(piece);
}

/** A promise that is rejected with the signal's reason when it is aborted, and otherwise stays open. */
function whenAborted(signal: AbortSignal | undefined): { promise: Promise<never>; release: () => void } {
  let release = () => {};
  const promise = new Promise<never>((_, reject) => {
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- the reason is the caller's, as it is
    const stop = () => reject(signal?.reason);
    signal?.addEventListener('abort', stop, { once: true });
    release = () => signal?.removeEventListener('abort', stop);
  });
  promise.catch(() => undefined);
  return { promise, release };
}
