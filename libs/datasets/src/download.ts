import { mkdir, rename, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '@infalign/core';
import { writeFileAtomically } from './rewards/atomic-output.js';

/** How files are downloaded. */
export interface DownloadOptions {
  /** Wait before the second attempt, doubled before each further one; default 1000. */
  readonly retryDelayMs?: number | undefined;
  /** Ends the download with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const ATTEMPTS = 4;
const byHand = 'download the dataset yourself and name its folder as dataset.path';
/** Without a byte for so long, an attempt counts as failed. */
const SILENCE_MS = 60_000;

/** A failure that another attempt may not meet. */
class TransientFailure extends Error {}

/**
 * Downloads a file, unless it is already there. What is there is always complete.
 *
 * @param file where to; folders are made
 * @param check what to check when the server refuses: "check dataset.hub"
 * @returns `file`
 * @throws InputError naming the address, what the server said, and how to do without it
 */
export async function downloadFile(
  url: string,
  file: string,
  check: string,
  { retryDelayMs = 1000, signal }: DownloadOptions = {},
): Promise<string> {
  if ((await stat(file).catch(() => undefined))?.isFile() === true) return file;
  await mkdir(dirname(file), { recursive: true });

  for (let attempt = 1; ; attempt++) {
    try {
      await downloadOnce(url, file, check, signal);
      return file;
    } catch (error) {
      if (!(error instanceof TransientFailure)) throw error;
      if (attempt === ATTEMPTS) {
        throw new InputError(
          `${url}: ${error.message}, ${ATTEMPTS} times; check the network and run again, or ${byHand}`,
          { cause: error },
        );
      }
      await sleep(retryDelayMs * 2 ** (attempt - 1), undefined, signal === undefined ? {} : { signal });
    }
  }
}

async function downloadOnce(url: string, file: string, check: string, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(new Error('the server fell silent')), SILENCE_MS);
  const eitherSignal = AbortSignal.any(signal === undefined ? [silence.signal] : [silence.signal, signal]);
  /** Tells failures of the network from those of the disk. */
  const fromNetwork = async <Result>(work: Promise<Result>): Promise<Result> => {
    try {
      return await work;
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason;
      throw new TransientFailure(`the download failed (${reasonOf(error)})`, { cause: error });
    }
  };
  try {
    const response = await fromNetwork(fetch(url, { signal: eitherSignal }));
    if (!response.ok || response.body === null) {
      const message = `the server answered ${response.status} ${response.statusText}`.trimEnd();
      await response.body?.cancel();
      if (response.status === 429 || response.status >= 500) throw new TransientFailure(message);
      throw new InputError(`${url}: ${message}; ${check}, or ${byHand}`);
    }
    const reader = response.body.getReader();
    // Not under its own name, which ends in .gz: what arrives is compressed already.
    const arrived = `${file}.download`;
    await writeFileAtomically(arrived, async (write) => {
      for (;;) {
        // A body that is shorter than announced is a failure of the network here.
        const piece: { value?: Uint8Array | undefined } = await fromNetwork(reader.read());
        if (piece.value === undefined) break;
        timer.refresh();
        await write(piece.value);
      }
    });
    await rename(arrived, file);
  } finally {
    clearTimeout(timer);
  }
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
