import { protocolError, fetchRequest, type Broker } from './kafkajs-internals.js';
import { decodeBatches, type AbortedTransaction, type FetchedRecord } from './record-batch.js';

/** What to fetch. */
export interface PartitionFetch {
  /** As the brokers name it. */
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  /** How long the broker waits for records, if there are none, in milliseconds. */
  readonly maxWaitMs: number;
  /** Bytes wanted at most, compressed; the first batch comes whole, whatever its size. */
  readonly maxBytes: number;
}

/** What there was. */
export interface PartitionFetched {
  /** Committed records from the offset on. */
  readonly records: readonly FetchedRecord[];
  /** The offset to fetch from next. Above the last record where transactions ended, were aborted, or were compacted. */
  readonly next: number;
  /** Below it, every transaction has ended: there is no record between `next` and it, if nothing was fetched. */
  readonly lastStableOffset: number;
}

/**
 * Fetches the committed records of one partition from its leader.
 *
 * @throws Error of Kafka's type, such as NOT_LEADER_FOR_PARTITION or OFFSET_OUT_OF_RANGE; Error if a batch is damaged
 */
export async function fetchPartition(broker: Broker, fetch: PartitionFetch): Promise<PartitionFetched> {
  const { topic, partition, offset, maxWaitMs, maxBytes } = fetch;
  const partitions = [{ partition, fetchOffset: offset, maxBytes }];
  const answer = await broker.connectionPool.send(
    fetchRequest({ maxWaitTime: maxWaitMs, maxBytes, topic, partitions }, decodeAnswer),
  );
  const failure = protocolError(answer.errorCode);
  if (failure) throw failure;
  const { records, next } = decodeBatches(answer.batches, answer.aborted);
  const first = records.findIndex((record) => record.offset >= offset);
  return {
    // The batch that holds the offset may begin before it.
    records: first > 0 ? records.slice(first) : first === 0 ? records : [],
    next: Math.max(next ?? offset, offset),
    lastStableOffset: answer.lastStableOffset,
  };
}

interface Answer {
  errorCode: number;
  lastStableOffset: number;
  aborted: AbortedTransaction[];
  batches: Buffer;
}

/** The answer to a fetch of version 11, of one partition. */
function decodeAnswer(bytes: Buffer): Answer {
  let at = 4;
  const int16 = (): number => bytes.readInt16BE((at += 2) - 2);
  const int32 = (): number => bytes.readInt32BE((at += 4) - 4);
  const int64 = (): bigint => bytes.readBigInt64BE((at += 8) - 8);
  const topErrorCode = int16();
  at += 4; // session
  if (topErrorCode !== 0 || int32() === 0) {
    return { errorCode: topErrorCode || 3, lastStableOffset: -1, aborted: [], batches: Buffer.alloc(0) };
  }
  const topicLength = int16();
  at += topicLength + 4 + 4; // topic, how many partitions, and which
  const errorCode = int16();
  at += 8; // high watermark
  const lastStableOffset = Number(int64());
  at += 8; // log start offset
  const aborted: AbortedTransaction[] = [];
  for (let count = int32(); count > 0; count--) aborted.push({ producerId: int64(), firstOffset: Number(int64()) });
  at += 4; // preferred replica
  const size = Math.max(int32(), 0);
  return { errorCode, lastStableOffset, aborted, batches: bytes.subarray(at, at + size) };
}
