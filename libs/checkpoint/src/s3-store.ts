import { createCheckpointStore, type CheckpointStore, type CheckpointStoreOptions } from './checkpoint-store.js';
import { openContentCache, type ContentCacheOptions } from './content-cache.js';
import { openS3Storage, type S3Location } from './s3-storage.js';

/** Where a checkpoint store in S3 lies, and how it behaves. */
export interface S3StoreOptions extends S3Location, CheckpointStoreOptions {
  /** Keeps files that were read, for this process and others of the machine; by default none are. */
  readonly cache?: ContentCacheOptions;
}

/** Opens a checkpoint store in Amazon S3 or what speaks its protocol. Connects when it is first used. */
export function openS3Store(options: S3StoreOptions): CheckpointStore {
  return createCheckpointStore(openS3Storage(options), options, options.cache && openContentCache(options.cache));
}
