import { parseMethod } from '@infalign/core';
import { runIdOf, runSeed, stepNames } from './experiment-steps.js';
import type { RolloutStream } from '@infalign/rollout-stream';
import { calibrationStage, type MeasuredRollouts } from '@infalign/stage-calibration';
import { evaluationRequestStage, evaluationStage } from '@infalign/stage-evaluation';
import { samplingStage } from '@infalign/stage-sampling';
import { scoringStage, type RunScorers } from '@infalign/stage-scoring';
import type { ModelCache } from './model-cache.js';
import { evaluationRequests } from './run-requests.js';
import type { Runs } from './runs.js';

/** What stages are assembled from. */
export interface StageParts {
  readonly stream: RolloutStream;
  readonly runs: Runs;
  readonly models: ModelCache;
}

/** The policy-sampler's stage. */
export function assembleSampling({ runs, models }: StageParts) {
  return samplingStage({
    policy: async (runId, version) => (await models.models([await runs.policy(runId, version)]))[0]!,
  });
}

/** The reward-scorer's stage. */
export function assembleScoring({ runs, models }: StageParts) {
  return scoringStage({ scorers: (runId) => runScorers(runId, runs, models) });
}

/** The models that score the rollouts of a run. */
export async function runScorers(runId: string, runs: Runs, models: ModelCache): Promise<RunScorers> {
  const { rewardModel, judge } = (await runs.run(runId)).record;
  const [rewards, judgements] = await models.models(judge ? [rewardModel!, judge] : [rewardModel!]);
  return {
    reward: { name: 'reward-model', version: rewardModel!.contentHash, model: rewards! },
    judge: judge && { name: 'judge', version: judge.contentHash, model: judgements! },
  };
}

/** Rollouts that the calibrator reads at a time. */
const rolloutsAtOnce = 512;

/** The calibrator's stage. @param onMeasured see `calibrationStage` */
export function assembleCalibration(
  { stream, runs }: Pick<StageParts, 'stream' | 'runs'>,
  onMeasured?: (measured: MeasuredRollouts) => void,
) {
  return calibrationStage({
    stream,
    maxBatchRecords: rolloutsAtOnce,
    ...(onMeasured && { onMeasured }),
    async run(runId) {
      const { record, experiment, policyRun, reward } = await runs.run(runId);
      const method = policyRun && parseMethod(policyRun.method);
      const { window, driftFalseAlarmRate, references, minimumReferences, newPrompts, finiteKCorrection } =
        experiment.calibration;
      return {
        heldOutRunId: runIdOf(experiment, stepNames.heldOutReferences),
        references: { window, driftFalseAlarmRate },
        training: reward && {
          referenceRunId: record.referenceRunId,
          transformation: reward.reward,
          corrected: finiteKCorrection || method!.corrected,
          subset:
            method?.references === undefined
              ? undefined
              : { references: method.references, seed: runSeed(experiment, policyRun) },
          minimumReferences: minimumReferences ?? Math.min(references, window ?? references),
          newPrompts,
        },
      };
    },
  });
}

/** The evaluator's stages: one asks for samples of final policies, the other measures them. */
export function assembleEvaluation({ stream, runs, models }: StageParts) {
  return {
    requests: evaluationRequestStage({
      async requests(runId, version) {
        const run = await runs.run(runId);
        return evaluationRequests(run, await runs.prompts(run), version, stream.partitions);
      },
    }),
    measurement: evaluationStage({
      async measuredPolicy(runId, version) {
        const { record, policyRun } = await runs.run(runId);
        if (!policyRun) return undefined;
        const [policy, reference] = await models.models([await runs.policy(runId, version), record.basePolicy!]);
        return { policy: policy!, reference: reference! };
      },
    }),
  };
}
