import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Worker, WorkerProgress } from './worker.js';

/** How to run workers. */
export interface RunOptions {
  /** Stops between two transactions. */
  readonly signal?: AbortSignal;
  /** Called after every transaction. */
  readonly onProgress?: (progress: WorkerProgress) => void;
}

/**
 * Runs workers in one process until none has anything left to do: in the order given, each until it makes no progress,
 * round and round until a round brings none. What is done follows from what the log holds alone, so a run that was killed
 * and is run again does the same.
 *
 * @returns the transactions' sum for each worker, by its name, in the order given
 * @throws what a worker throws; nothing of its batch is committed then. The signal's reason, if it was aborted
 */
export async function runToQuiescence(workers: readonly Worker[], options: RunOptions = {}): Promise<WorkerProgress[]> {
  const totals = new Map(workers.map(({ name }) => [name, { name, consumed: 0, produced: 0, deadLetters: 0 }]));
  for (let progressed = true; progressed;) {
    progressed = false;
    for (const worker of workers) {
      for (;;) {
        options.signal?.throwIfAborted();
        const progress = await worker.advance();
        if (!progress) break;
        progressed = true;
        const total = totals.get(worker.name)!;
        total.consumed += progress.consumed;
        total.produced += progress.produced;
        total.deadLetters += progress.deadLetters;
        options.onProgress?.(progress);
        // Workers compute without a pause: signals and messages of other processes are seen here.
        await nextTurn();
      }
    }
  }
  return [...totals.values()];
}
