export { writeFileAtomically } from './atomic-file.js';
export {
  hasCheckpoint,
  publishCheckpoint,
  readCheckpoint,
  retainCheckpoints,
  type Checkpoint,
  type CheckpointFiles,
} from './checkpoint.js';
export { decodeSafetensors, encodeSafetensors, type NamedArray, type NamedArrays } from './safetensors.js';
