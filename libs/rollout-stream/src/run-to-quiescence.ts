import { setImmediate as nextTurn } from 'node:timers/promises';
import type { RolloutStream } from './rollout-stream.js';
import type { Stage } from './stage.js';
import { deadLetterTopic } from './topics.js';
import { isPoison, outgoing, type ConsumedRecord, type OutgoingRecord, type PoisonRecord } from './topic.js';

/** One committed transaction of a stage. */
export interface StageProgress {
  readonly stage: string;
  /** Records consumed, undecodable ones included. */
  readonly consumed: number;
  /** Records appended, dead letters included. */
  readonly produced: number;
  /** Undecodable records among the consumed ones; each is now a dead letter. */
  readonly deadLetters: number;
}

/** How to run stages. */
export interface RunOptions {
  /** Stops between two transactions. */
  readonly signal?: AbortSignal;
  /** Called after every transaction. */
  readonly onProgress?: (progress: StageProgress) => void;
}

/**
 * Runs stages in one process until none has anything left to do: the stages in the order given, each until it makes no
 * progress, round and round until a round brings none. Batches depend on what the log holds alone, so a run that was
 * killed and is run again processes the same batches.
 *
 * Undecodable records go to their topic's dead-letter topic, in the transaction that passes them.
 *
 * @returns the transactions' sum for each stage, by its name, in the order given
 * @throws what a stage throws; nothing of its batch is committed then. The signal's reason, if it was aborted
 */
export async function runToQuiescence(
  stream: RolloutStream,
  stages: readonly Stage[],
  options: RunOptions = {},
): Promise<StageProgress[]> {
  const totals = new Map(stages.map(({ name }) => [name, { stage: name, consumed: 0, produced: 0, deadLetters: 0 }]));
  for (let progressed = true; progressed;) {
    progressed = false;
    for (const stage of stages) {
      for (;;) {
        options.signal?.throwIfAborted();
        const progress = await runBatch(stream, stage);
        if (!progress) break;
        progressed = true;
        const total = totals.get(stage.name)!;
        total.consumed += progress.consumed;
        total.produced += progress.produced;
        total.deadLetters += progress.deadLetters;
        options.onProgress?.(progress);
        // Stages compute without a pause: signals and messages of other processes are seen here.
        await nextTurn();
      }
    }
  }
  return [...totals.values()];
}

/**
 * Reads, processes and commits one batch of one stage.
 *
 * @returns nothing if there was nothing to read, or the stage waits for more
 */
async function runBatch(stream: RolloutStream, stage: Stage): Promise<StageProgress | undefined> {
  const read = await stream.read(stage.name, stage.inputs, stage.maxBatchRecords);
  const batch = read.filter((record): record is ConsumedRecord => !isPoison(record));
  const result = batch.length > 0 ? await stage.process(batch) : { outputs: [], consumed: 0 };
  if (!(Number.isInteger(result.consumed) && result.consumed >= 0 && result.consumed <= batch.length)) {
    throw new Error(`Stage ${stage.name} says it consumed ${result.consumed} of ${batch.length} records.`);
  }
  if (result.consumed === 0 && result.outputs.length > 0) {
    throw new Error(`Stage ${stage.name} has outputs but consumed nothing: it would produce them again and again.`);
  }
  const consumed = read.slice(0, lengthWith(read, result.consumed));
  if (consumed.length === 0) return undefined;
  const deadLetters = consumed.filter(isPoison).map(deadLetter);
  const outputs = [...result.outputs, ...deadLetters];
  await stream.commit(stage.name, consumed, outputs);
  return {
    stage: stage.name,
    consumed: consumed.length,
    produced: outputs.length,
    deadLetters: deadLetters.length,
  };
}

/** How many leading records there are up to, and with, the undecodable ones that follow the given number of decoded ones. */
function lengthWith(read: readonly (ConsumedRecord | PoisonRecord)[], decoded: number): number {
  let seen = 0;
  const end = read.findIndex((record) => !isPoison(record) && ++seen > decoded);
  return end === -1 ? read.length : end;
}

function deadLetter({ topic, partition, offset, reason, payload }: PoisonRecord): OutgoingRecord {
  return outgoing(deadLetterTopic(topic), { topic: topic.name, partition, offset, reason, payload });
}
