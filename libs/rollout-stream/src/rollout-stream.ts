import type { ConsumedRecord, OutgoingRecord, PoisonRecord, RecordPosition, Topic } from './topic.js';

/**
 * Durable topics with transactions and consumer positions. The implementations pass one conformance suite; stages do not
 * know which of them carries their records.
 */
export interface RolloutStream {
  /**
   * The next records of a consumer group, from its committed positions on: topics in the order given, partitions
   * ascending, offsets ascending. Does not move the positions: what is read but not committed is read again.
   *
   * @param maxRecords at most so many decodable records; undecodable ones met on the way come in addition, but
   *   no more than this before the first decodable one
   */
  read(group: string, topics: readonly Topic[], maxRecords: number): Promise<(ConsumedRecord | PoisonRecord)[]>;

  /**
   * One transaction: moves the group's positions to after the consumed records, and appends the outputs. When the promise
   * resolves, both survive the death of the process and of the machine; if it rejects, neither has happened.
   *
   * @throws InputError if an output is not a valid record of its topic, or if the consumed records do not begin at the
   *   group's committed positions (another consumer was faster)
   */
  commit(group: string, consumed: readonly RecordPosition[], outputs: readonly OutgoingRecord[]): Promise<void>;

  /** Appends records in one transaction, as durably as `commit`. */
  append(outputs: readonly OutgoingRecord[]): Promise<void>;

  /**
   * Every record of a topic that is there now, partitions ascending, offsets ascending.
   *
   * @param fromOffset skips smaller offsets, in every partition
   * @throws InputError if a record cannot be decoded
   */
  readAll<T>(topic: Topic<T>, fromOffset?: number): AsyncIterable<ConsumedRecord<T>>;

  /** The latest record of each key of a compacted topic, by key, in the order of the log. */
  table<T>(topic: Topic<T>): Promise<Map<string, T>>;

  /** Per partition, the offset of the next record that the group will read. */
  committed(group: string, topic: Topic): Promise<number[]>;

  /** Per partition, the offset that the next appended record will have. */
  endOffsets(topic: Topic): Promise<number[]>;

  close(): Promise<void>;
}
