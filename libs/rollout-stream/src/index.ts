export { openEmbeddedStream } from './embedded-stream.js';
export { protobufCodec } from './codec.js';
export { acquireLogLock } from './log-lock.js';
export type { RolloutStream } from './rollout-stream.js';
export { runToQuiescence, type RunOptions, type StageProgress } from './run-to-quiescence.js';
export type { Stage, StageResult } from './stage.js';
export {
  describePosition,
  isPoison,
  isFrom,
  outgoing,
  partitionOf,
  type Codec,
  type ConsumedRecord,
  type OutgoingRecord,
  type PoisonRecord,
  type RecordPosition,
  type Topic,
} from './topic.js';
export { deadLetterTopic, topics } from './topics.js';
