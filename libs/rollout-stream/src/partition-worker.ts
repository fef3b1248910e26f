import { InputError } from '@infalign/core';
import { InvalidRecord } from './encoded-record.js';
import { PartitionLost, TransactionFailed, type GroupMember } from './rollout-stream.js';
import type { PartitionProcessor, Stage, StageResult } from './stage.js';
import { deadLetterTopic, isDeadLetterTopic } from './topics.js';
import { isPoison, outgoing, type ConsumedRecord, type OutgoingRecord, type PoisonRecord } from './topic.js';
import type { WorkerProgress } from './worker.js';

/** What came of one attempt at a batch. */
export type BatchOutcome =
  | WorkerProgress
  /** There was nothing to read, or the stage waits for more. */
  | 'waiting'
  /** The partition belongs to another member. */
  | 'lost'
  /** The transaction did not take place, or it is not known whether it did: it is done again from where the group stands. */
  | 'failed';

/** A stage's work on one partition that its group member owns. */
export interface PartitionWorker {
  /** Reads, processes and commits one batch. @throws what the stage throws; nothing of its batch is committed then */
  advance(): Promise<BatchOutcome>;
}

/** What a dead letter keeps of a record: the rest can be read where it stands. */
const keptBytes = 2 ** 20;
const keptReason = 1000;

/** Of some of these records, nothing comes: the stage refuses them, or what it makes of them is no valid record. */
class UnusableRecords<T> extends Error {
  constructor(
    readonly records: readonly (ConsumedRecord<T> | PoisonRecord)[],
    readonly reason: string,
  ) {
    super(reason);
  }
}

/**
 * A stage at work on one partition. Undecodable records go to their topic's dead-letter topic, in the transaction that
 * passes them. So do those of which nothing comes: to find them, the stage is given as few at a time as it can work on.
 */
export function partitionWorker<T>(member: GroupMember<T>, stage: Stage<T>, partition: number): PartitionWorker {
  let processor: PartitionProcessor<T> | undefined;
  /** Whether there are such among the next records. */
  let careful = false;

  async function commit({ consumed, outputs }: Batch<T>): Promise<BatchOutcome> {
    await member.commit(partition, consumed, outputs).catch((error: unknown) => {
      throw error instanceof InvalidRecord ? new UnusableRecords(consumed, error.message) : error;
    });
    return {
      name: stage.name,
      consumed: consumed.length,
      produced: outputs.length,
      deadLetters: outputs.filter(({ topic }) => isDeadLetterTopic(topic)).length,
    };
  }

  async function advance(): Promise<BatchOutcome> {
    try {
      processor ??= await stage.open(partition);
      const batch = await nextBatch(member, partition, stage, processor, careful);
      return batch ? await commit(batch) : 'waiting';
    } catch (error) {
      // What the processor has derived from a batch that was not committed is worth nothing.
      processor = undefined;
      if (!(error instanceof UnusableRecords)) throw error;
      careful = !careful;
      if (careful) return advance();
      const { records: consumed, reason } = error as UnusableRecords<T>;
      const outputs = consumed.map((record) => (isPoison(record) ? deadLetter(record) : refused(record, reason)));
      return commit({ consumed, outputs });
    }
  }

  return {
    async advance() {
      try {
        return await advance();
      } catch (error) {
        if (error instanceof PartitionLost) return 'lost';
        if (error instanceof TransactionFailed) return 'failed';
        throw error;
      }
    },
  };
}

/** Records that are done, and what came of them. */
interface Batch<T> {
  readonly consumed: readonly (ConsumedRecord<T> | PoisonRecord)[];
  readonly outputs: readonly OutgoingRecord[];
}

/** @param few whether as few as the stage can work on are wanted */
async function nextBatch<T>(
  member: GroupMember<T>,
  partition: number,
  stage: Stage<T>,
  processor: PartitionProcessor<T>,
  few: boolean,
): Promise<Batch<T> | undefined> {
  // What it waits for may be longer than a batch usually is.
  for (let limit = few ? 1 : stage.maxBatchRecords; ; limit = few ? limit + 1 : 2 * limit) {
    const read = await member.read(partition, limit);
    const batch = read.filter((record): record is ConsumedRecord<T> => !isPoison(record));
    const result = batch.length > 0 ? await processed(processor, batch, read) : { outputs: [], consumed: 0 };
    if (!(Number.isInteger(result.consumed) && result.consumed >= 0 && result.consumed <= batch.length)) {
      throw new Error(`Stage ${stage.name} says it consumed ${result.consumed} of ${batch.length} records.`);
    }
    if (result.consumed === 0 && result.outputs.length > 0) {
      throw new Error(`Stage ${stage.name} has outputs but consumed nothing: it would produce them again and again.`);
    }
    const consumed = read.slice(0, lengthWith(read, result.consumed));
    if (consumed.length > 0) {
      return { consumed, outputs: [...result.outputs, ...consumed.filter(isPoison).map(deadLetter)] };
    }
    if (batch.length < limit) return undefined;
  }
}

async function processed<T>(
  processor: PartitionProcessor<T>,
  batch: readonly ConsumedRecord<T>[],
  read: readonly (ConsumedRecord<T> | PoisonRecord)[],
): Promise<StageResult> {
  try {
    return await processor.process(batch);
  } catch (error) {
    throw error instanceof InputError ? new UnusableRecords(read, error.message) : error;
  }
}

/** How many leading records there are up to, and with, the undecodable ones that follow the given number of decoded ones. */
function lengthWith(read: readonly (ConsumedRecord | PoisonRecord)[], decoded: number): number {
  let seen = 0;
  const end = read.findIndex((record) => !isPoison(record) && ++seen > decoded);
  return end === -1 ? read.length : end;
}

/** A record that was decoded but cannot be used, as its dead letter. */
export function refused<T>(record: ConsumedRecord<T>, reason: string): OutgoingRecord {
  return deadLetter({ ...record, reason, payload: record.topic.codec.encode(record.value) });
}

/** A record that could not be used, as its dead letter. */
function deadLetter({ topic, partition, offset, reason, payload }: PoisonRecord): OutgoingRecord {
  const cut =
    payload.length > keptBytes
      ? ` (this keeps the first ${keptBytes} of the ${payload.length} bytes that are there)`
      : '';
  return outgoing(deadLetterTopic(topic), {
    topic: topic.name,
    partition,
    offset,
    reason: `${reason.length > keptReason ? `${reason.slice(0, keptReason)} …` : reason}${cut}`,
    payload: payload.subarray(0, keptBytes),
  });
}
