import type { ConsumedRecord, OutgoingRecord, Topic } from './topic.js';

/** A step of the pipeline, apart from what runs it: a function from batches of records to batches of records. */
export interface Stage {
  /** Also its consumer group. */
  readonly name: string;
  /** Read in this order. */
  readonly inputs: readonly Topic[];
  /** Records that it processes together; at least 1. */
  readonly maxBatchRecords: number;
  /**
   * Processes what was read. What it returns is committed in one transaction with the positions; a batch that was not
   * committed is processed again, so equal batches must give equal outputs.
   */
  process(batch: readonly ConsumedRecord[]): Promise<StageResult>;
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
