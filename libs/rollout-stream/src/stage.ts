import type { ConsumedRecord, OutgoingRecord, Topic } from './topic.js';

/** A step of the pipeline, apart from what runs it: a function from batches of records to batches of records. */
export interface Stage<T = unknown> {
  /** Also its consumer group. */
  readonly name: string;
  readonly input: Topic<T>;
  /** Records that it is given together, unless it needs more of them; at least 1. */
  readonly maxBatchRecords: number;
  /**
   * Prepares for a partition that this process has come to own. State, if it has any, is read from the stream here; where
   * a batch failed it is discarded, and the partition is opened anew.
   */
  open(partition: number): Promise<PartitionProcessor<T>>;
}

/** What a stage does with the records of one partition. */
export interface PartitionProcessor<T = unknown> {
  /**
   * Processes what was read. What it returns is committed in one transaction with the position; a batch that was not
   * committed is processed again, so equal batches must give equal outputs.
   *
   * @throws InputError if nothing can be made of what it was given. Then it is given less, and what is left at last of which
   *   nothing can be made goes to the dead letters, as what outputs are made of that are not valid does
   */
  process(batch: readonly ConsumedRecord<T>[]): Promise<StageResult>;
}

/** What a stage made of a batch. */
export interface StageResult {
  /** Empty if nothing was consumed. */
  readonly outputs: readonly OutgoingRecord[];
  /**
   * How many records, from the first of the batch on, are done; the rest is seen again, with those that follow. 0: the
   * stage waits for more.
   */
  readonly consumed: number;
}
