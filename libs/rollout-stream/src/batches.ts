import type { ConsumedRecord } from './topic.js';

/** What a record says of the batch it belongs to. */
export interface BatchMembership {
  /** Tells the batch from its neighbours. */
  readonly id: string;
  /** Records that the batch consists of; at least 1. */
  readonly size: number;
}

/** Records that were dispatched together, found together. */
export interface RecordBatch<T> {
  readonly records: readonly ConsumedRecord<T>[];
  /** Whether all of them are there. Those of a batch stand one after another: where another one follows, no more will come. */
  readonly complete: boolean;
}

/**
 * Cuts consecutive records into the batches that they were dispatched in. A batch at the end that may still grow is left
 * out: it is seen again, with what follows.
 */
export function recordBatches<T>(
  records: readonly ConsumedRecord<T>[],
  membership: (value: T) => BatchMembership,
): RecordBatch<T>[] {
  const batches: RecordBatch<T>[] = [];
  for (let start = 0; start < records.length;) {
    const { id, size } = membership(records[start]!.value);
    let end = start + 1;
    while (end < records.length && end - start < size && membership(records[end]!.value).id === id) end++;
    const complete = end - start === size;
    if (!complete && end === records.length) break;
    batches.push({ records: records.slice(start, end), complete });
    start = end;
  }
  return batches;
}
