import { createCheckpointStore, type CheckpointStore, type CheckpointStoreOptions } from './checkpoint-store.js';
import { openFolderStorage } from './folder-storage.js';

/**
 * Opens a checkpoint store in a folder, which several processes, also of several machines, may share. It reads checkpoints
 * of `publishCheckpoint` too.
 *
 * @param folder made when the first checkpoint is published
 */
export function openFolderStore(folder: string, options: CheckpointStoreOptions = {}): CheckpointStore {
  return createCheckpointStore(openFolderStorage(folder), options);
}
