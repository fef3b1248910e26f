import { InputError } from '@infalign/core';
import {
  partitionOf,
  type ConsumedRecord,
  type OutgoingRecord,
  type PoisonRecord,
  type RecordPosition,
  type Topic,
} from './topic.js';

/** A record as it is stored. */
export interface EncodedRecord {
  readonly topic: Topic;
  readonly partition: number;
  readonly key: string;
  /** Nothing where it says that there is no record of this key any more. */
  readonly payload: Uint8Array | undefined;
  /** As its topic's `batchKey` has it. */
  readonly batch: string | undefined;
  /** The W3C trace context that it belongs to. */
  readonly trace: string | undefined;
}

/** A record that its topic does not take: it is not valid, or too large. */
export class InvalidRecord extends InputError {}

/** @throws InvalidRecord if a record is not a valid one of its topic */
export function encodeRecord({ topic, value, removes, trace }: OutgoingRecord, partitions: number): EncodedRecord {
  try {
    const payload = removes ? undefined : topic.codec.encode(value);
    const partition = partitionOf(topic, value, partitions);
    return { topic, partition, key: topic.key(value), batch: topic.batchKey?.(value), payload, trace };
  } catch (error) {
    throw new InvalidRecord(`A record for ${topic.name} is not valid: ${messageOf(error)}`, { cause: error });
  }
}

/** The record in these bytes, or why there is none. */
export function decodeRecord<T>(
  position: RecordPosition<T>,
  payload: Buffer,
  trace?: string,
): ConsumedRecord<T> | PoisonRecord {
  const traced = trace === undefined ? undefined : { trace };
  try {
    return { ...position, value: position.topic.codec.decode(payload), ...traced };
  } catch (error) {
    return { ...position, topic: position.topic as Topic, reason: messageOf(error), payload, ...traced };
  }
}

/** What a thrown value says. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
