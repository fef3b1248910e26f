import { mkdir, rename, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '@infalign/core';
import { writeFileAtomically } from './rewards/atomic-output.js';

/** Where files are downloaded from, and to. */
export interface DownloadOptions {
  /** Folder in which downloaded files are kept, and found again. */
  readonly cacheFolder: string;
  /** Address of the hub; default https://huggingface.co. */
  readonly hubUrl?: string | undefined;
  /** Wait before the second attempt, doubled before each further one; default 1000. */
  readonly retryDelayMs?: number | undefined;
  /** Ends the download with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const ATTEMPTS = 4;
/** Without a byte for so long, an attempt counts as failed. */
const SILENCE_MS = 60_000;

/** A failure that another attempt may not meet. */
class TransientFailure extends Error {}

/**
 * Downloads a file of comparisons from the Hugging Face hub, unless it is already there. A file in the cache is always
 * complete.
 *
 * @returns its path: `cacheFolder/owner/name/subset/split.jsonl.gz`
 * @throws InputError naming the address, what the server said, and how to do without it
 */
export async function downloadComparisons(
  { hub, subset, split }: { readonly hub: string; readonly subset: string; readonly split: string },
  { cacheFolder, hubUrl = 'https://huggingface.co', retryDelayMs = 1000, signal }: DownloadOptions,
): Promise<string> {
  const file = join(cacheFolder, ...hub.split('/'), subset, `${split}.jsonl.gz`);
  if ((await stat(file).catch(() => undefined))?.isFile() === true) return file;
  const url = `${hubUrl}/datasets/${hub}/resolve/main/${subset}/${split}.jsonl.gz`;
  await mkdir(dirname(file), { recursive: true });

  for (let attempt = 1; ; attempt++) {
    try {
      await downloadOnce(url, file, signal);
      return file;
    } catch (error) {
      if (!(error instanceof TransientFailure)) throw error;
      if (attempt === ATTEMPTS) {
        throw new InputError(
          `${url}: ${error.message}, ${ATTEMPTS} times; check the network and run again, or download the file yourself ` +
            'and name its folder as dataset.path',
          { cause: error },
        );
      }
      await sleep(retryDelayMs * 2 ** (attempt - 1), undefined, signal === undefined ? {} : { signal });
    }
  }
}

async function downloadOnce(url: string, file: string, signal: AbortSignal | undefined): Promise<void> {
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
      throw new InputError(`${url}: ${message}; check dataset.hub, dataset.subset and dataset.split`);
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
