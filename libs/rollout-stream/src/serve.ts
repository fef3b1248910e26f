import { setImmediate as nextTurn } from 'node:timers/promises';
import { partitionWorker } from './partition-worker.js';
import type { RolloutStream } from './rollout-stream.js';
import type { Stage } from './stage.js';
import type { Worker, WorkerProgress } from './worker.js';

/** How something is served. */
export interface ServeOptions {
  /** Ends the service between two transactions: what is under way is finished first. */
  readonly signal: AbortSignal;
  /** Called after every transaction; not after one whose partition went to another member before its outcome was known. */
  readonly onProgress?: (progress: WorkerProgress) => void;
}

/** How long to sleep at most where nothing tells of a change: a bound, should a notice be lost. */
const longestSleepMs = 500;

/**
 * Runs a stage as a member of its group until it is told to end: all partitions that it owns at the same time, each one
 * transaction after another.
 *
 * @throws the first error of the stage, when the work on all partitions has ended
 */
export async function serveStage<T>(stream: RolloutStream, stage: Stage<T>, options: ServeOptions): Promise<void> {
  const { signal, onProgress } = options;
  const member = await stream.join(stage.name, stage.input);
  const running = new Map<number, Promise<void>>();
  let failure: { readonly error: unknown } | undefined;

  async function servePartition(partition: number): Promise<void> {
    const worker = partitionWorker(member, stage, partition);
    while (!signal.aborted && !failure && member.assigned().includes(partition)) {
      const outcome = await worker.advance();
      // If it is this member's again, it is opened anew.
      if (outcome === 'lost') continue;
      if (typeof outcome === 'string') await member.changed(longestSleepMs, partition);
      else {
        onProgress?.(outcome);
        // Stages compute without a pause: the other partitions and the rest of the process get their turn here.
        await nextTurn();
      }
    }
  }

  try {
    while (!signal.aborted && !failure) {
      for (const partition of member.assigned()) {
        if (running.has(partition)) continue;
        const work = servePartition(partition)
          .catch((error: unknown) => void (failure ??= { error }))
          .finally(() => running.delete(partition));
        running.set(partition, work);
      }
      await member.changed(longestSleepMs);
    }
    await Promise.all(running.values());
  } finally {
    await member.leave();
  }
  if (failure) throw failure.error;
}

/**
 * Runs a worker until it is told to end.
 *
 * @throws what the worker throws
 */
export async function serveWorker(worker: Worker, { signal, onProgress }: ServeOptions): Promise<void> {
  try {
    while (!signal.aborted) {
      const progress = await worker.advance();
      if (progress) {
        onProgress?.(progress);
        await nextTurn();
      } else await worker.changed(longestSleepMs);
    }
  } finally {
    await worker.close();
  }
}
