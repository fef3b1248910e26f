import type { LearningStatistics } from '@infalign/contracts';
import type { CheckpointStore } from '@infalign/checkpoint';
import { parseMethod } from '@infalign/core';
import { createLanguageModel, withHeads, type LanguageModelConfig } from '@infalign/language-model';
import type { RolloutStream, Worker } from '@infalign/rollout-stream';
import type { Telemetry } from '@infalign/telemetry';
import {
  createPolicyLearner,
  learnerName,
  learningAlgorithms,
  learningWorker,
  type KlStrength,
  type LearningAlgorithm,
  type PolicyLearner,
} from '@infalign/stage-learning';
import { runSeed, stalenessOfRun } from './experiment-steps.js';
import {
  learningHistory,
  originOf,
  positionsOf,
  publishLearner,
  readLearner,
  restoreLearner,
  retainVersions,
} from './learner-checkpoint.js';
import type { PipelineRun } from './pipeline-run.js';
import { trainingRequests } from './run-requests.js';
import type { Runs } from './runs.js';
import { modelOf, type StoredModel } from './stored-model.js';

/** A learner at work on a run. */
export interface LearningRun extends Worker {
  /** The statistics of every iteration so far. */
  history(): readonly LearningStatistics[];
}

/** What a learning run is made of. */
export interface LearningRunOptions {
  readonly stream: RolloutStream;
  readonly store: CheckpointStore;
  readonly runs: Runs;
  /** Policy versions whose checkpoints stay beside those that are needed, to roll back to. */
  readonly keptVersions: number;
  /** Called with the statistics of every iteration, when its checkpoint is stored. */
  readonly onIteration?: (statistics: LearningStatistics) => Promise<void> | void;
  /** Told of iterations. Default: nothing is told. */
  readonly telemetry?: Telemetry;
}

/**
 * The learner of a policy's run, as far as it has come: the policy version announced last, with the optimiser's state and
 * the positions that belong to it.
 *
 * @throws InputError if a checkpoint is gone or damaged
 */
export async function learningRun(run: PipelineRun, options: LearningRunOptions): Promise<LearningRun> {
  const { stream, store, runs, keptVersions } = options;
  const { record, experiment } = run;
  if (!run.policyRun) throw new Error(`run ${record.runId} trains no policy`);
  const { iterations } = experiment.ppo;
  const base = modelOf(await store.read(record.basePolicy!.name, record.basePolicy!.contentHash), 'base policy');
  const prompts = await runs.prompts(run);
  const algorithm = learningAlgorithms[parseMethod(run.policyRun.method).algorithm](experiment.ppo);
  const critic = algorithm.valuesFrom === 'critic' ? await readRewardModel(run, store) : undefined;
  const { learner, dispose } = createLearner(run, algorithm, base, critic);
  const config = policyConfig(base, experiment.ppo);
  // Without the weights that the learner holds where it computes: only those beside adapters never change.
  const described: StoredModel = { ...base, config, weights: config.adapters ? base.weights : new Map() };
  // Before the version announced last is looked up: after it, no earlier learner of this run announces another one.
  const writer = await stream.writer(learnerName(record.runId));
  try {
    const latest = await runs.latestVersion(record.runId);
    const state = latest && latest.version > 0 ? restoreLearner(learner, await readLearner(store, latest)) : undefined;
    const origin = originOf(state);
    let history = await learningHistory(store, run, latest);
    const worker = await learningWorker(stream, writer, {
      runId: record.runId,
      learner,
      iterations,
      maxStaleness: stalenessOfRun(experiment, run.policyRun),
      targetKl: run.policyRun.targetKl ?? 0,
      origin,
      positions: positionsOf(run, state),
      requests: (iteration) => trainingRequests(run, prompts, iteration, stream.partitions, origin),
      async publish(version, statistics, positions) {
        history = [...history, statistics];
        const place = { positions, origin };
        const published = await publishLearner(run, store, version, learner, history, place, described);
        await options.onIteration?.(statistics);
        return published;
      },
      announced: (version) => retainVersions(run, store, version, keptVersions),
      ...(options.telemetry && { telemetry: options.telemetry }),
    });
    return {
      ...worker,
      history: () => history,
      async close() {
        await worker.close();
        dispose();
      },
    };
  } catch (error) {
    await writer.close();
    dispose();
    throw error;
  }
}

/** The reward model, which a critic begins as. */
async function readRewardModel({ record: { rewardModel } }: PipelineRun, store: CheckpointStore): Promise<StoredModel> {
  return modelOf(await store.read(rewardModel!.name, rewardModel!.contentHash), 'reward model');
}

/** A policy is a base policy, with the adapters that it learns in. */
function policyConfig({ config }: StoredModel, { adapters }: PipelineRun['experiment']['ppo']): LanguageModelConfig {
  return adapters ? { ...config, adapters } : config;
}

function createLearner(
  { experiment, policyRun, reward }: PipelineRun,
  algorithm: LearningAlgorithm,
  base: StoredModel,
  rewardModel: StoredModel | undefined,
): { readonly learner: PolicyLearner; readonly dispose: () => void } {
  const { ppo } = experiment;
  const { beta } = reward!;
  const seed = runSeed(experiment, policyRun);
  const heads =
    algorithm.valuesFrom === 'policy' ? (['language-model', 'value'] as const) : (['language-model'] as const);
  const config = policyConfig(base, ppo);
  const policy = createLanguageModel(config, withHeads(config, base.weights, heads, seed));
  const critic =
    rewardModel &&
    createLanguageModel(rewardModel.config, withHeads(rewardModel.config, rewardModel.weights, ['value']));
  const { targetKl } = policyRun!;
  const klStrength: KlStrength =
    targetKl === undefined ? { beta } : { targetKl, initialBeta: beta, perDeviation: reward!.reward === 'raw' };
  const adam = { beta1: 0.9, beta2: 0.999, epsilon: ppo.adamEpsilon };
  const reference = createLanguageModel(base.config, base.weights);
  return {
    learner: createPolicyLearner({ algorithm, policy, adam, reference, critic, settings: ppo, klStrength, seed }),
    dispose() {
      for (const model of [policy, reference, critic]) model?.dispose();
    },
  };
}
