import type { RewardModel, RewardScorerServiceService, SampledRollout, ScoredRollout } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { RpcError, type RpcHandlers } from '@infalign/rpc';
import { topics } from '@infalign/rollout-stream';
import { rolloutProblem, scoredRollouts } from './batch.js';
import type { ScoringStageOptions } from './pipeline.js';

/** What the reward-scorer's calls need. */
export interface ScoringServiceOptions extends ScoringStageOptions {
  /** The reward models of all runs, each once. */
  models(): Promise<RewardModel[]>;
}

/** The reward-scorer's calls. */
export function scoringService(options: ScoringServiceOptions): RpcHandlers<typeof RewardScorerServiceService> {
  return {
    async score({ rollouts }) {
      if (rollouts.length === 0) throw new InputError('rollouts: empty; send one at least');
      for (const rollout of rollouts) topics.rolloutSampled.codec.encode(rollout);
      const scoredById = new Map<SampledRollout, ScoredRollout>();
      for (const [runId, own] of byRun(rollouts)) {
        const scored = await scoredTogether(runId, own, options);
        own.forEach((rollout, index) => scoredById.set(rollout, scored[index]!));
      }
      return { rollouts: rollouts.map((rollout) => scoredById.get(rollout)!) };
    },
    listRewardModels: async () => ({ models: await options.models() }),
  };
}

async function scoredTogether(
  runId: string,
  rollouts: readonly SampledRollout[],
  { scorers }: ScoringStageOptions,
): Promise<ScoredRollout[]> {
  const models = await scorers(runId).catch((error: unknown) => {
    if (!(error instanceof InputError)) throw error;
    throw new RpcError('NOT_FOUND', 'RUN_UNKNOWN', error.message, {
      remedy: 'start the run that the rollouts name: it says which models score them',
      cause: error,
    });
  });
  for (const rollout of rollouts) {
    const problem = rolloutProblem(rollout, models);
    if (problem !== undefined) throw new InputError(`rollout ${rollout.rolloutId}: ${problem}`);
  }
  return scoredRollouts(rollouts, models);
}

function byRun(rollouts: readonly SampledRollout[]): Map<string, SampledRollout[]> {
  const groups = new Map<string, SampledRollout[]>();
  for (const rollout of rollouts) {
    const group = groups.get(rollout.runId);
    if (group) group.push(rollout);
    else groups.set(rollout.runId, [rollout]);
  }
  return groups;
}
