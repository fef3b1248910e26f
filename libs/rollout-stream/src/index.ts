export { openEmbeddedStream, type EmbeddedStreamOptions } from './embedded-stream.js';
export { recordBatches, type BatchMembership, type RecordBatch } from './batches.js';
export { refused } from './partition-worker.js';
export { protobufCodec } from './codec.js';
export { openKafkaStream } from './kafka/kafka-stream.js';
export type { KafkaSecurity, KafkaStreamOptions, StreamLog } from './kafka/options.js';
export { rolloutId, type RolloutIdentity } from './rollout-id.js';
export {
  PartitionLost,
  TransactionFailed,
  WriterFenced,
  type GroupMember,
  type RolloutStream,
  type StreamWriter,
  type TopicReader,
} from './rollout-stream.js';
export { runToQuiescence, type RunOptions } from './run-to-quiescence.js';
export { serveStage, serveWorker, type ServeOptions } from './serve.js';
export { stageWorker } from './stage-worker.js';
export type { PartitionProcessor, Stage, StageResult } from './stage.js';
export {
  describePosition,
  isPoison,
  isFrom,
  outgoing,
  partitionOf,
  partitionOfKey,
  removal,
  type Codec,
  type ConsumedRecord,
  type OutgoingRecord,
  type PoisonRecord,
  type RecordPosition,
  type Topic,
} from './topic.js';
export { allTopics, calibrationKey, deadLetterTopic, isDeadLetterTopic, topics } from './topics.js';
export type { Worker, WorkerProgress } from './worker.js';
