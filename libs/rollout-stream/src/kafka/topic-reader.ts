import { InputError } from '@infalign/core';
import { decodeRecord } from '../encoded-record.js';
import type { TopicReader } from '../rollout-stream.js';
import { createSignal } from '../signal.js';
import { describePosition, isPoison, type ConsumedRecord, type Topic } from '../topic.js';
import { errorType } from './broker-errors.js';
import { whenSeen, type StreamContext } from './context.js';
import { asking, endsOf } from './offsets.js';
import { createPartitionFeed } from './partition-feed.js';
import { fetchPartition } from './partition-fetch.js';
import type { FetchedRecord } from './record-batch.js';

/** Bytes asked for at once, compressed. */
const fetchBytes = 4 * 2 ** 20;

/** Where to begin, and where to end at the latest. */
interface Range {
  readonly partition: number;
  readonly from: number;
  /** The offset after the last. */
  readonly to: number;
}

/** What a partition held when it was asked for: records and removals, from the offset on. */
export async function* readRange(
  context: StreamContext,
  topic: Topic,
  { partition, from, to }: Range,
): AsyncGenerator<FetchedRecord> {
  const { network } = context;
  const topicName = context.topicName(topic);
  for (let offset = from; offset < to;) {
    const { records, next, lastStableOffset } = await asking(network, context, async () => {
      const leader = await network.leader(topicName, partition);
      return network.ask(leader, (broker) =>
        fetchPartition(broker, { topic: topicName, partition, offset, maxWaitMs: 0, maxBytes: fetchBytes }),
      );
    }).catch((error: unknown) => {
      throw errorType(error) === 'OFFSET_OUT_OF_RANGE' ? deleted(topic, partition, offset, error) : error;
    });
    for (const record of records) if (record.offset < to) yield record;
    // Nothing was found, and nothing can come before the end: the rest has been compacted away.
    if (next === offset && lastStableOffset >= to) return;
    offset = next;
  }
}

/**
 * Where each partition is to be read from and to, as it is now.
 *
 * @param from the offset to begin at in each partition; without it, the first
 * @throws InputError if a partition does not hold the offset any more, or not yet
 */
export async function rangesOf(context: StreamContext, topic: Topic, from?: readonly number[]): Promise<Range[]> {
  const { network, partitions } = context;
  if (from && from.length !== partitions) {
    throw new InputError(`${from.length} offsets are given for the ${partitions} partitions of ${topic.name}.`);
  }
  await whenSeen(context);
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  const topicName = context.topicName(topic);
  const [starts, ends] = await Promise.all([
    endsOf(network, topicName, all, 'first', context),
    endsOf(network, topicName, all, 'last', context),
  ]);
  return all.map((partition) => {
    const [start, to] = [starts[partition]!, ends[partition]!];
    const offset = from?.[partition] ?? start;
    if (offset < start) throw deleted(topic, partition, offset);
    if (offset > to) {
      throw new InputError(
        `${describePosition({ topic, partition, offset })} does not exist: the partition ends at offset ${to}. It was made ` +
          'anew since the offset was noted; begin anew too.',
      );
    }
    return { partition, from: offset, to };
  });
}

/** The records of all partitions that are there now, but for those that cannot be decoded. */
export async function* readAll<T>(
  context: StreamContext,
  topic: Topic<T>,
  from?: readonly number[],
): AsyncGenerator<ConsumedRecord<T>> {
  for (const range of await rangesOf(context, topic, from)) {
    for await (const { offset, value } of readRange(context, topic, range)) {
      if (!value) continue;
      const record = decodeRecord({ topic, partition: range.partition, offset }, value);
      if (!isPoison(record)) yield record;
    }
  }
}

/** The latest record of each key that is there now, where it can be decoded. */
export async function readTable<T>(
  context: StreamContext,
  topic: Topic<T>,
  partition?: number,
): Promise<Map<string, T>> {
  if (!topic.compacted) throw new Error(`Topic ${topic.name} is not compacted: it is no table.`);
  const { network } = context;
  await whenSeen(context);
  const which = partition === undefined ? Array.from({ length: context.partitions }, (_, index) => index) : [partition];
  const ends = await endsOf(network, context.topicName(topic), which, 'last', context);
  const table = new Map<string, T>();
  const parts = await Promise.all(
    which.map(async (part, index) => {
      /** By key, in the order of the log; what was replaced is never decoded. */
      const latest = new Map<string, { offset: number; value: Buffer }>();
      for await (const { offset, key, value } of readRange(context, topic, {
        partition: part,
        from: 0,
        to: ends[index]!,
      })) {
        const name = String(key);
        latest.delete(name);
        if (value) latest.set(name, { offset, value });
      }
      return latest;
    }),
  );
  parts.forEach((latest, index) => {
    for (const { offset, value } of latest.values()) {
      const record = decodeRecord({ topic, partition: which[index]!, offset }, value);
      if (!isPoison(record)) table.set(topic.key(record.value), record.value);
    }
  });
  return table;
}

/** Follows all partitions of a topic. */
export async function followTopic<T>(
  context: StreamContext,
  topic: Topic<T>,
  from?: readonly number[],
): Promise<TopicReader<T>> {
  const ranges = await rangesOf(context, topic, from);
  const changed = createSignal();
  const parts = ranges.map(({ partition, from: offset }) => {
    const lane = context.network.lane();
    const feed = createPartitionFeed({
      network: context.network,
      lane,
      topic,
      topicName: context.topicName(topic as Topic),
      partition,
      from: offset,
      readAheadBytes: context.settings.readAheadBytes,
      onChange: () => changed.raise(),
      onTrouble: context.onTrouble,
    });
    return { lane, feed };
  });
  let turn = 0;
  return {
    read: (maxRecords) =>
      new Promise((resolve) => {
        for (let tried = 0; tried < parts.length; tried++) {
          const { feed } = parts[turn]!;
          const batch = feed.peek(maxRecords);
          feed.take(batch);
          if (batch.length > 0) return resolve(batch);
          turn = (turn + 1) % parts.length;
        }
        resolve([]);
      }),
    changed: (timeoutMs) => changed.wait(timeoutMs),
    async markEnd() {
      const which = ranges.map(({ partition }) => partition);
      const ends = await endsOf(context.network, context.topicName(topic), which, 'appended', context);
      return () => parts.every(({ feed }, index) => feed.position() >= ends[index]!);
    },
    async close() {
      await Promise.all(
        parts.map(({ feed, lane }) => {
          feed.close();
          return lane.close();
        }),
      );
    },
  };
}

function deleted(topic: Topic, partition: number, offset: number, cause?: unknown): InputError {
  return new InputError(
    `${describePosition({ topic, partition, offset })} is not there any more: records are deleted when their time is over. ` +
      'Raise the retention, and begin again where there are records.',
    { cause },
  );
}
