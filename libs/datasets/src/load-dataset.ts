import type { Dataset } from './dataset.js';
import { downloadComparisons, type DownloadOptions } from './download.js';
import { comparisonDataset, comparisonFiles, readComparisons } from './hh-rlhf.js';
import { stateOfTheUnion } from './state-of-the-union.js';

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
      readonly split: string;
    };

/** How a dataset is loaded. */
export interface LoadOptions extends DownloadOptions {
  /** Of the division into a training part and a held-out part. */
  readonly seed: number;
  /** Share of the documents or conversations that is held out, in (0, 1). */
  readonly heldOutShare: number;
}

/**
 * Reads a dataset, or downloads it first.
 *
 * @throws InputError naming file and line when its files are malformed, or the address when it cannot be downloaded
 */
export async function loadDataset(settings: DatasetSettings, options: LoadOptions): Promise<Dataset> {
  if (settings.kind === 'state-of-the-union') return stateOfTheUnion(options);
  const files =
    settings.path === undefined
      ? [await downloadComparisons(settings, options)]
      : await comparisonFiles(settings.path, settings.subset);
  const comparisons = [];
  for (const file of files) comparisons.push(...(await readComparisons(file)));
  return comparisonDataset(comparisons, options);
}
