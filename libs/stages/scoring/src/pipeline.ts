import type { SampledRollout } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import {
  outgoing,
  recordBatches,
  refused,
  topics,
  type ConsumedRecord,
  type OutgoingRecord,
  type Stage,
} from '@infalign/rollout-stream';
import { rolloutProblem, scoredRollouts, type RunScorers } from './batch.js';

/** What a reward-scorer needs. */
export interface ScoringStageOptions {
  /**
   * The models that score the rollouts of a run.
   *
   * @throws InputError if the run is unknown, or a checkpoint is gone or damaged
   */
  readonly scorers: (runId: string) => Promise<RunScorers>;
}

/** Rollouts that are looked at together to find the batches among them; more where a batch is larger. */
const rolloutsAtOnce = 512;

/**
 * The reward-scorer: `rollout.sampled` in, `rollout.scored` out, one batch of rollouts a transaction. Rollouts that cannot
 * be scored (an unknown run, tokens that the model does not have) are dead letters.
 */
export function scoringStage({ scorers }: ScoringStageOptions): Stage<SampledRollout> {
  return {
    name: 'reward-scorer',
    input: topics.rolloutSampled,
    maxBatchRecords: rolloutsAtOnce,
    open: () =>
      Promise.resolve({
        async process(records) {
          const [batch] = recordBatches(records, ({ runId, batchId, batchRollouts }) => ({
            id: JSON.stringify([runId, batchId]),
            size: batchRollouts,
          }));
          if (!batch) return { outputs: [], consumed: 0 };
          const outputs = batch.complete
            ? await scored(batch.records, scorers)
            : batch.records.map((record) => refused(record, 'the rest of its batch is missing'));
          return { outputs, consumed: batch.records.length };
        },
      }),
  };
}

async function scored(
  batch: readonly ConsumedRecord<SampledRollout>[],
  scorers: ScoringStageOptions['scorers'],
): Promise<OutgoingRecord[]> {
  let models: RunScorers;
  try {
    models = await scorers(batch[0]!.value.runId);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return batch.map((record) => refused(record, error.message));
  }
  const outputs: OutgoingRecord[] = [];
  const accepted: SampledRollout[] = [];
  for (const record of batch) {
    const problem = rolloutProblem(record.value, models);
    if (problem === undefined) accepted.push(record.value);
    else outputs.push(refused(record, problem));
  }
  // What is refused leaves the batch, so that those who wait for the whole of it do not wait for that.
  const rollouts =
    outputs.length === 0 ? accepted : accepted.map((each) => ({ ...each, batchRollouts: accepted.length }));
  return [...scoredRollouts(rollouts, models).map((each) => outgoing(topics.rolloutScored, each)), ...outputs];
}
