import { RewardScorerServiceService, type CheckpointReference } from '@infalign/contracts';
import { assembleScoring, runScorers } from '@infalign/pipeline';
import { implement } from '@infalign/rpc';
import { scoringService } from '@infalign/stage-scoring';
import { serveStages } from './serve-stages.js';
import type { Service } from './service.js';

/** Scores responses by reward models. */
export const rewardScorer: Service = {
  name: 'rewardScorer',
  title: 'reward-scorer',
  computes: true,
  assemble(parts) {
    const { runs, models } = parts;
    return {
      calls: implement(
        RewardScorerServiceService,
        scoringService({
          scorers: (runId) => runScorers(runId, runs, models),
          async models() {
            const named = (await runs.all()).flatMap(({ record }) => [
              ...versionOf('reward-model', record.rewardModel),
              ...versionOf('judge', record.judge),
            ]);
            return [...new Map(named.map((model) => [`${model.name}/${model.version}`, model])).values()];
          },
        }),
      ),
      serve: (signal) => serveStages([assembleScoring(parts)], parts, signal),
    };
  },
};

function versionOf(name: string, reference: CheckpointReference | undefined) {
  return reference ? [{ name, version: reference.contentHash }] : [];
}
