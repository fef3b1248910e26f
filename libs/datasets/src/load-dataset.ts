import { join } from 'node:path';
import { comparedDataset, type ComparedTexts } from './compared-dataset.js';
import type { Dataset } from './dataset.js';
import { downloadFile, type DownloadOptions } from './download.js';
import { comparedDialogues, comparisonFiles, readComparisons } from './hh-rlhf.js';
import { stateOfTheUnion } from './state-of-the-union.js';
import { readTldr, tldrFiles, tldrFilesIn } from './tldr.js';

/** Which dataset: the `dataset` section of an experiment. */
export type DatasetSettings =
  | { readonly kind: 'state-of-the-union' }
  | {
      readonly kind: 'hh-rlhf';
      /** Folder with the dataset's files; without it they are downloaded. */
      readonly path?: string | undefined;
      /** `owner/name` on the Hugging Face hub. */
      readonly hub: string;
      readonly subset: string;
    }
  | {
      readonly kind: 'tldr';
      /** Folder with the dataset's files; without it they are downloaded. */
      readonly path?: string | undefined;
      /** Address below which the official files are. */
      readonly url: string;
    };

/** How a dataset is loaded. */
export interface LoadOptions extends DownloadOptions {
  /** Folder in which downloaded files are kept, and found again. */
  readonly cacheFolder: string;
  /** Address of the Hugging Face hub; default https://huggingface.co. */
  readonly hubUrl?: string | undefined;
  /** Of the division into a training part and a held-out part. */
  readonly seed: number;
  /** Share of the documents, conversations or posts that is held out where the files do not tell, in (0, 1). */
  readonly heldOutShare: number;
}

/**
 * Reads a dataset, or downloads it first.
 *
 * @throws InputError naming file and line when its files are malformed, or the address when it cannot be downloaded
 */
export async function loadDataset(settings: DatasetSettings, options: LoadOptions): Promise<Dataset> {
  switch (settings.kind) {
    case 'state-of-the-union':
      return stateOfTheUnion(options);
    case 'hh-rlhf':
      return comparedDataset(await hhRlhf(settings, options), options);
    case 'tldr':
      return comparedDataset(await tldr(settings, options), options);
  }
}

type Settings<Kind> = Extract<DatasetSettings, { readonly kind: Kind }>;

async function hhRlhf(settings: Settings<'hh-rlhf'>, options: LoadOptions): Promise<ComparedTexts> {
  const { path, subset } = settings;
  const files = path === undefined ? await downloadHhRlhf(settings, options) : await comparisonFiles(path, subset);
  const comparisons = [];
  for (const file of files) comparisons.push(await readComparisons(file));
  return comparedDialogues(comparisons.flat());
}

async function downloadHhRlhf({ hub, subset }: Settings<'hh-rlhf'>, options: LoadOptions): Promise<string[]> {
  const { hubUrl = 'https://huggingface.co', cacheFolder } = options;
  const files = [];
  for (const name of ['train.jsonl.gz', 'test.jsonl.gz']) {
    const url = `${hubUrl}/datasets/${hub}/resolve/main/${subset}/${name}`;
    const file = join(cacheFolder, ...hub.split('/'), subset, name);
    files.push(await downloadFile(url, file, 'check dataset.hub and dataset.subset', options));
  }
  return files;
}

async function tldr({ path, url }: Settings<'tldr'>, options: LoadOptions): Promise<ComparedTexts> {
  return readTldr(path === undefined ? await downloadTldr(url, options) : await tldrFilesIn(path));
}

async function downloadTldr(url: string, options: LoadOptions): Promise<string[]> {
  const check = 'check dataset.url (the Hugging Face hub has this dataset only as Parquet, which is not read)';
  const files = [];
  for (const name of tldrFiles) {
    const { href, host, pathname } = new URL(name, `${url.replace(/\/+$/, '')}/`);
    files.push(await downloadFile(href, join(options.cacheFolder, host, pathname), check, options));
  }
  return files;
}
