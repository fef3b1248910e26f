import type { ConsumedRecord, PoisonRecord, RolloutStream, Topic } from '@infalign/rollout-stream';

const recordsAtOnce = 500;
const longestSleepMs = 500;

/**
 * Every record of a topic that is there now, those that cannot be decoded among them; offsets ascend in each partition.
 *
 * @param from the offset to begin at in each partition
 */
export async function* recordsNow<T>(
  stream: RolloutStream,
  topic: Topic<T>,
  from: readonly number[],
): AsyncGenerator<ConsumedRecord<T> | PoisonRecord> {
  const reader = await stream.follow(topic, from);
  try {
    const isRead = await reader.markEnd();
    while (!isRead()) {
      const records = await reader.read(recordsAtOnce);
      yield* records;
      if (records.length === 0) await reader.changed(longestSleepMs);
    }
  } finally {
    await reader.close();
  }
}
