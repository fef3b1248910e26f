import type { Topic } from '../topic.js';
import type { KafkaSettings } from './options.js';

const hourMs = 3_600_000;
/** Kafka's word for it. */
const keptForever = -1;

/** What is more than a record in a batch of one record. */
const batchOverheadBytes = 4096;

/**
 * What a topic is made with; see Kafka's topic configuration. The Helm chart has the same, where the topics are made by Strimzi.
 */
export function topicConfiguration(
  topic: Topic,
  settings: Pick<KafkaSettings, 'maxRecordBytes' | 'retentionHours'>,
  replicationFactor: number,
): Record<string, string | number> {
  const common = {
    'min.insync.replicas': Math.max(1, replicationFactor - 1),
    'max.message.bytes': settings.maxRecordBytes + batchOverheadBytes,
    // Whatever other programs write can be read.
    'compression.type': 'lz4',
  };
  if (!topic.compacted) {
    const retention = topic.permanent ? keptForever : settings.retentionHours * hourMs;
    return { ...common, 'cleanup.policy': 'delete', 'retention.ms': retention };
  }
  return {
    ...common,
    'cleanup.policy': 'compact',
    // Tables are read whole: what is replaced goes soon, but not before those who follow have seen it.
    'segment.bytes': 16 * 2 ** 20,
    'segment.ms': hourMs / 6,
    'min.cleanable.dirty.ratio': 0.2,
    'min.compaction.lag.ms': 60_000,
    'delete.retention.ms': 24 * hourMs,
  };
}
