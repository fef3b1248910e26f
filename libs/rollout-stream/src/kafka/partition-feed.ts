import { InputError } from '@infalign/core';
import { decodeRecord } from '../encoded-record.js';
import { createSignal } from '../signal.js';
import {
  describePosition,
  isPoison,
  type ConsumedRecord,
  type PoisonRecord,
  type RecordPosition,
  type Topic,
} from '../topic.js';
import { errorType, explained, StreamClosed } from './broker-errors.js';
import type { Lane, Network } from './network.js';
import { asking } from './offsets.js';
import { fetchPartition } from './partition-fetch.js';

/** How long a broker waits for records, if there are none. Longer waiting saves requests, and delays nothing. */
const longestPollMs = 1000;

/** Bytes asked for at once, compressed. */
const fetchBytes = 2 ** 20;

/** What to feed from. */
export interface FeedOptions<T> {
  readonly network: Network;
  /** Of its fetching connection this feed is the only user: a poll holds up what comes after it. */
  readonly lane: Lane;
  readonly topic: Topic<T>;
  /** What the brokers call the topic. */
  readonly topicName: string;
  readonly partition: number;
  readonly from: number;
  /** Fetches until so many bytes wait to be taken. */
  readonly readAheadBytes: number;
  /** Called when there is more that has come or has been passed, or nothing will come any more. */
  readonly onChange: () => void;
  readonly onTrouble: (error: unknown) => void;
}

/** The records of one partition, fetched ahead of those who take them. */
export interface PartitionFeed<T> {
  /**
   * The first records that have arrived and have not been taken; they stay.
   *
   * @param maxRecords at most so many decodable ones; undecodable ones in addition, but no more than this before the first
   *   decodable one. Fetches ahead until there are so many
   * @throws InputError if records were deleted before they were fetched
   */
  peek(maxRecords: number): (ConsumedRecord<T> | PoisonRecord)[];
  /** Takes the first records. @throws Error unless these are they */
  take(records: readonly RecordPosition[]): void;
  /**
   * Where to go on once so many records more have been taken: below it, everything has been taken, and is all there ever
   * will be. It is behind the marks that transactions leave at their ends, as far as those have been fetched.
   *
   * @param taken default 0: where it stands
   */
  position(taken?: number): number;
  /** Whether these are the first records. */
  checkFirst(records: readonly RecordPosition[]): void;
  close(): void;
}

/** Begins to fetch. */
export function createPartitionFeed<T>(options: FeedOptions<T>): PartitionFeed<T> {
  const { network, lane, topic, topicName, partition, readAheadBytes, onChange, onTrouble } = options;
  const closing = new AbortController();
  const { signal } = closing;
  const room = createSignal();
  let waiting: Waiting<T>[] = [];
  let bytes = 0;
  let next = options.from;
  /** Records that somebody waits for, however many bytes they are. */
  let wanted = 1;
  let failure: { readonly error: unknown } | undefined;

  async function fetchOn(): Promise<void> {
    while (!signal.aborted) {
      if (bytes >= readAheadBytes && waiting.length >= wanted) {
        await room.wait(longestPollMs);
        continue;
      }
      const fetched = await asking(network, { signal, onTrouble }, async () => {
        const leader = await network.leader(topicName, partition);
        return lane.ask(leader, (broker) =>
          fetchPartition(broker, {
            topic: topicName,
            partition,
            offset: next,
            maxWaitMs: longestPollMs,
            maxBytes: fetchBytes,
          }),
        );
      });
      const before = next;
      // Where nothing was found, nothing can come any more before the last stable offset: the rest has been compacted away.
      next = fetched.next > before ? fetched.next : Math.max(before, fetched.lastStableOffset);
      for (const { offset, value, trace } of fetched.records) {
        // A removal is nothing to read.
        if (!value) continue;
        waiting.push({ offset, value, trace, decoded: undefined });
        bytes += value.length;
      }
      if (next > before) onChange();
    }
  }

  fetchOn().catch((error: unknown) => {
    if (error instanceof StreamClosed || signal.aborted) return;
    failure = {
      error:
        errorType(error) === 'OFFSET_OUT_OF_RANGE'
          ? new InputError(
              `${describePosition({ topic: topic, partition, offset: next })} is not there any more: records were ` +
                'deleted before they were read. Raise the retention, and begin again where there are records.',
              { cause: error },
            )
          : explained(error),
    };
    onChange();
  });

  function checkFirst(records: readonly RecordPosition[]): void {
    records.forEach((record, index) => {
      const expected = waiting[index]?.offset;
      if (record.offset === expected && record.partition === partition && record.topic.name === topic.name) return;
      throw new Error(
        `${describePosition(record)} is committed, but ${expected === undefined ? 'nothing' : `offset ${expected}`} of ` +
          `${topic.name}, partition ${partition}, is next.`,
      );
    });
  }

  return {
    peek(maxRecords) {
      if (failure) throw failure.error;
      wanted = maxRecords;
      if (waiting.length < maxRecords) room.raise();
      const batch: (ConsumedRecord<T> | PoisonRecord)[] = [];
      let decodable = 0;
      for (const entry of waiting) {
        if (decodable === maxRecords || (decodable === 0 && batch.length === maxRecords)) break;
        entry.decoded ??= decodeRecord({ topic, partition, offset: entry.offset }, entry.value, entry.trace);
        if (!isPoison(entry.decoded)) decodable++;
        batch.push(entry.decoded);
      }
      return batch;
    },
    position: (taken = 0) => waiting[taken]?.offset ?? next,
    checkFirst,
    take(records) {
      checkFirst(records);
      for (const { value } of waiting.slice(0, records.length)) bytes -= value.length;
      waiting = waiting.slice(records.length);
      room.raise();
    },
    close() {
      closing.abort();
      room.raise();
    },
  };
}

interface Waiting<T> {
  readonly offset: number;
  readonly value: Buffer;
  readonly trace: string | undefined;
  decoded: ConsumedRecord<T> | PoisonRecord | undefined;
}
