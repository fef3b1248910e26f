/** How records of one type become bytes and back. */
export interface Codec<T> {
  /** @throws InputError naming the field, if the record is not one that `decode` would accept */
  encode(value: T): Uint8Array;
  /** @throws Error saying why, if the bytes are not a valid record */
  decode(bytes: Uint8Array): T;
}

/** A named, partitioned, append-only sequence of records of one type. */
export interface Topic<T = unknown> {
  /** Words, digits, dots and dashes. */
  readonly name: string;
  /** Whether only the latest record of each key is kept; else records go by age, unless the topic is permanent. */
  readonly compacted: boolean;
  /** Whether all records are kept: of what is small, and has to be known for as long as runs are. */
  readonly permanent?: true;
  readonly codec: Codec<T>;
  /** What the record is about: identifies it in a compacted topic. */
  key(record: T): string;
  /** What its partition is derived from, where that is not the key: records with equal ones share a partition, in order. */
  partitionKey?(record: T): string;
  /**
   * The batch it belongs to, where batches have to stay in one piece: records with equal ones that are appended one after
   * another stand so in their partition, whoever else appends at the same time.
   */
  batchKey?(record: T): string;
}

/** A place in a topic. Offsets count from 0 in each partition; compaction leaves gaps. */
export interface RecordPosition<T = unknown> {
  readonly topic: Topic<T>;
  readonly partition: number;
  readonly offset: number;
}

/** A record as it was read. */
export interface ConsumedRecord<T = unknown> extends RecordPosition<T> {
  readonly value: T;
  /** The W3C trace context that it came with; it is no part of the record, and not every stream carries it. */
  readonly trace?: string;
}

/** A record that could not be decoded. */
export interface PoisonRecord extends RecordPosition {
  /** Why it was refused. */
  readonly reason: string;
  /** Its bytes. */
  readonly payload: Uint8Array;
  /** As for {@link ConsumedRecord}. */
  readonly trace?: string;
}

/** A record to append; made by {@link outgoing} and {@link removal}, which see to it that topic and value agree. */
export interface OutgoingRecord {
  readonly topic: Topic;
  readonly value: unknown;
  /** Whether it says that there is no record of this key any more, in a compacted topic. */
  readonly removes: boolean;
  /** The W3C trace context to send with it, beside the record, where the stream carries it. */
  readonly trace?: string;
}

/** A record to append to a topic. */
export function outgoing<T>(topic: Topic<T>, value: NoInfer<T>): OutgoingRecord {
  return { topic, value, removes: false };
}

/** Takes a record out of a compacted topic: the record with the key and the partition of this one. */
export function removal<T>(topic: Topic<T>, value: NoInfer<T>): OutgoingRecord {
  if (!topic.compacted) throw new Error(`Topic ${topic.name} is not compacted: nothing can be removed from it.`);
  return { topic, value, removes: true };
}

/** Whether a record comes from that topic; narrows its type where a stage reads several topics. */
export function isFrom<T>(record: ConsumedRecord, topic: Topic<T>): record is ConsumedRecord<T> {
  return record.topic.name === topic.name;
}

/** Whether a record that was read could not be decoded. */
export function isPoison(record: ConsumedRecord | PoisonRecord): record is PoisonRecord {
  return 'reason' in record;
}

/** The partition of a record: the 32-bit FNV-1a hash of its partition key, over UTF-16 code units, modulo the partitions. */
export function partitionOf<T>(topic: Topic<T>, value: T, partitions: number): number {
  return partitionOfKey(topic.partitionKey?.(value) ?? topic.key(value), partitions);
}

/** The partition in which records with this partition key are: the prompt id, in the topics of rollouts. */
export function partitionOfKey(key: string, partitions: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  return (hash >>> 0) % partitions;
}

/** Where a record stands, for messages: `rollout.scored, partition 0, offset 17`. */
export function describePosition(position: RecordPosition): string {
  return `${position.topic.name}, partition ${position.partition}, offset ${position.offset}`;
}
