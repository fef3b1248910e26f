import type { ConsumedRecord, OutgoingRecord, PoisonRecord, RecordPosition, Topic } from './topic.js';

/**
 * Durable topics with transactions and consumer positions. The implementations pass one conformance suite; stages do not
 * know which of them carries their records.
 *
 * Every topic has the same number of partitions, and records of one prompt are in the partition of that number in each: a
 * stage that owns a partition of its input writes to the same partition of its outputs, so that the order in which a
 * prompt's records were made is the order in which they arrive.
 *
 * What was written through a stream is there for whatever is read through it afterwards. Other processes may see it some
 * milliseconds later.
 */
export interface RolloutStream {
  /** Of every topic; at least 1. */
  readonly partitions: number;

  /** Joins a consumer group, whose members share the partitions of one topic among them. */
  join<T>(group: string, topic: Topic<T>): Promise<GroupMember<T>>;

  /**
   * Reads a topic outside of any group.
   *
   * @param from the offset to begin at in each partition; without it, the beginning
   * @throws InputError if records from there on have been deleted (retention), or the topic does not reach so far
   */
  follow<T>(topic: Topic<T>, from?: readonly number[]): Promise<TopicReader<T>>;

  /**
   * Opens the writer of a name. Whoever opened it last can write; an earlier one is fenced off, and what it had not
   * committed is gone.
   */
  writer(name: string): Promise<StreamWriter>;

  /** Appends records in one transaction, as durably as `commit`, in competition with nobody. */
  append(outputs: readonly OutgoingRecord[]): Promise<void>;

  /**
   * Every record of a topic that is there now, partitions ascending, offsets ascending; but for those that cannot be decoded,
   * whoever wrote them.
   *
   * @param from the offset to begin at in each partition; without it, the beginning
   */
  readAll<T>(topic: Topic<T>, from?: readonly number[]): AsyncIterable<ConsumedRecord<T>>;

  /**
   * The latest record of each key of a compacted topic, by key, in the order of the log. Where it cannot be decoded, the key
   * has none.
   *
   * @param partition only what is in that partition
   */
  table<T>(topic: Topic<T>, partition?: number): Promise<Map<string, T>>;

  /** Per partition, the offset of the next record that the group will read. */
  committed(group: string, topic: Topic): Promise<number[]>;

  /** Per partition, the offset from which on no record has been deleted by its age. */
  startOffsets(topic: Topic): Promise<number[]>;

  /** Per partition, an offset that is above those of all records there now, and of none that is appended later. */
  endOffsets(topic: Topic): Promise<number[]>;

  /** Leaves all groups, and closes what was opened. */
  close(): Promise<void>;
}

/** One consumer of a group. */
export interface GroupMember<T = unknown> {
  /** The partitions that this member owns now, ascending. */
  assigned(): readonly number[];

  /**
   * The next records of a partition from the group's committed position on, offsets ascending, as far as they are there.
   * Does not move the position: what is read but not committed is read again.
   *
   * @param maxRecords at most so many decodable records; undecodable ones met on the way come in addition, but no more
   *   than this before the first decodable one
   * @throws PartitionLost if this member does not own the partition, or has not all the time since the last call
   */
  read(partition: number, maxRecords: number): Promise<(ConsumedRecord<T> | PoisonRecord)[]>;

  /**
   * One transaction: moves the group's position in the partition to after the consumed records, and appends the outputs.
   * When the promise resolves, both survive the death of the process and of the machine.
   *
   * @param consumed the records read last, or the first of them, in order; at least one
   * @throws PartitionLost if this member does not own the partition, or has not all the time since the last call, or loses
   *   it during this one. Neither has happened, or, where it is lost during the call, both may have: whoever owns the
   *   partition next begins where the group stands
   * @throws InputError if an output is not a valid record of its topic: neither has happened
   * @throws TransactionFailed if the outcome is not known or nothing has happened: the next `read` begins where the group
   *   stands, and whoever derived state from this batch builds it anew
   */
  commit(partition: number, consumed: readonly RecordPosition[], outputs: readonly OutgoingRecord[]): Promise<void>;

  /**
   * Resolves when there may be more to read, or the assignment has changed, or after the time. What happens between two
   * calls ends the second at once.
   *
   * @param partition only what concerns that partition; a call without it, and one for each partition, may wait at the same time
   */
  changed(timeoutMs: number, partition?: number): Promise<void>;

  /**
   * By partition that this member owns, how many records it has still to consume: 0 if none; where there are any, what
   * stands between records (the ends of transactions) may count as well.
   */
  lag(): Promise<ReadonlyMap<number, number>>;

  /** Leaves the group: its partitions go to the other members. */
  leave(): Promise<void>;
}

/** Reads all partitions of a topic, on and on. */
export interface TopicReader<T = unknown> {
  /** The records after those read before, of one partition after another, as far as they are there. Empty if none are. */
  read(maxRecords: number): Promise<(ConsumedRecord<T> | PoisonRecord)[]>;
  /** Resolves when there may be more to read, or after the time. */
  changed(timeoutMs: number): Promise<void>;
  /**
   * Notes where the topic ends: after all that was appended to it before, also in transactions that are not decided yet.
   *
   * @returns tells whether `read` has come so far. If it has, there is nothing more of what was appended before
   */
  markEnd(): Promise<() => boolean>;
  close(): Promise<void>;
}

/** Appends under a name that one at a time can have. */
export interface StreamWriter {
  /**
   * One transaction.
   *
   * @throws WriterFenced if another has opened a writer of this name since: nothing has happened
   * @throws TransactionFailed if the outcome is not known: look at the topics, through a writer opened anew
   */
  append(outputs: readonly OutgoingRecord[]): Promise<void>;
  close(): Promise<void>;
}

/** A member has lost a partition to another one of its group. */
export class PartitionLost extends Error {
  override name = 'PartitionLost';
}

/** Another process has opened the writer of this name. */
export class WriterFenced extends Error {
  override name = 'WriterFenced';
}

/** A transaction did not take place, or it is not known whether it did. */
export class TransactionFailed extends Error {
  override name = 'TransactionFailed';
}
