export { writeFileAtomically } from './atomic-file.js';
export { hasCheckpoint, publishCheckpoint, readCheckpoint, retainCheckpoints } from './checkpoint.js';
export { checkpointName } from './checkpoint-name.js';
export type { CheckpointStore, CheckpointStoreOptions } from './checkpoint-store.js';
export { openFolderStore } from './folder-store.js';
export type { Checkpoint, CheckpointFiles } from './manifest.js';
export { decodeSafetensors, encodeSafetensors, type NamedArray, type NamedArrays } from './safetensors.js';
