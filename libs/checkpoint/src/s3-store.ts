import { createCheckpointStore, type CheckpointStore, type CheckpointStoreOptions } from './checkpoint-store.js';
import { openContentCache } from './content-cache.js';
import { openS3Storage, type S3Location } from './s3-storage.js';

/** Where a checkpoint store in S3 lies, and how it behaves. */
export interface S3StoreOptions extends S3Location, CheckpointStoreOptions {
  /** A folder in which files that were read are kept, for this process and others of the machine; by default none are. */
  readonly cacheFolder?: string;
  /** How large that folder may become; by default 4 GiB. */
  readonly cacheBytes?: number;
  /** Told why a file could not be kept there, or read from there: it has been read from the store then. */
  readonly onCacheTrouble?: (error: unknown) => void;
}

const defaultCacheBytes = 4 * 1024 ** 3;

/** Opens a checkpoint store in Amazon S3 or what speaks its protocol. Connects when it is first used. */
export function openS3Store(options: S3StoreOptions): CheckpointStore {
  const { cacheFolder, cacheBytes = defaultCacheBytes, onCacheTrouble } = options;
  const cache = cacheFolder === undefined ? undefined : openContentCache(cacheFolder, cacheBytes, onCacheTrouble);
  return createCheckpointStore(openS3Storage(options), options, cache);
}
