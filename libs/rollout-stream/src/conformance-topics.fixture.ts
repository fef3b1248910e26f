import { numberTopic } from './records.fixture.js';
import type { GroupMember, RolloutStream } from './rollout-stream.js';
import { isPoison, type ConsumedRecord, type PoisonRecord, type Topic } from './topic.js';
import { deadLetterTopic } from './topics.js';

/** Opens and reopens the stream that one test runs on. */
export interface StreamUnderTest {
  stream: RolloutStream;
  /** Closes the stream, and opens what it left behind. */
  reopen(): Promise<RolloutStream>;
  /** Closes the stream and removes what it left behind. */
  remove(): Promise<void>;
}

/** Whose records are in one partition. */
export const input = numberTopic('numbers', { together: true });
export const output = numberTopic('squares', { together: true });
export const spread = numberTopic('spread');
export const copies = numberTopic('copies', { permanent: true });
export const latest = numberTopic('latest', { compacted: true });

/** Every topic of the conformance suite. */
export const conformanceTopics: readonly Topic[] = [input, output, spread, copies, latest, deadLetterTopic(input)];

/** Reads from the group's position on until so many records have arrived. */
export async function readMany<T>(
  member: GroupMember<T>,
  partition: number,
  count: number,
): Promise<(ConsumedRecord<T> | PoisonRecord)[]> {
  for (;;) {
    const batch = await member.read(partition, count);
    if (batch.length >= count) return batch;
    await member.changed(1000, partition);
  }
}

/** The values of records that are all numbers. */
export function values(batch: readonly (ConsumedRecord<number> | PoisonRecord)[]): number[] {
  return batch.flatMap((record) => (isPoison(record) ? [] : [record.value]));
}

/** Every value of a topic. */
export async function all<T>(stream: RolloutStream, topic: Topic<T>, from?: readonly number[]): Promise<T[]> {
  const found: T[] = [];
  for await (const { value } of stream.readAll(topic, from)) found.push(value);
  return found;
}

/** The whole numbers in [from, to). */
export function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
