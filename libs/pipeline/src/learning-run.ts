import type { LearningStatistics, PolicyVersion } from '@infalign/contracts';
import { decodeSafetensors, encodeSafetensors, type CheckpointStore } from '@infalign/checkpoint';
import { parseMethod } from '@infalign/core';
import { createLanguageModel, pretrainedFiles, withHeads, type Weights } from '@infalign/language-model';
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
  type LearnerSnapshot,
  type PublishedCheckpoint,
  type ReadPositions,
} from '@infalign/stage-learning';
import { runSeed, stalenessOfRun } from './experiment-steps.js';
import type { PipelineRun } from './pipeline-run.js';
import { trainingRequests } from './run-requests.js';
import type { Runs } from './runs.js';
import { modelOf, type StoredModel } from './stored-model.js';

/** What a learner's checkpoint stores beside the policy: all that it needs to go on. */
interface LearnerState {
  readonly snapshot: Pick<LearnerSnapshot, 'iteration' | 'targetKl'> & { readonly optimiserSteps: number };
  readonly positions: ReadPositions;
  /** Optimiser steps of the critic, where there is one. */
  readonly criticSteps?: number;
}

/** Points from a policy's checkpoint to the state of the learner that made it. */
interface PolicyMetadata {
  readonly learner: { readonly name: string; readonly contentHash: string };
}

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
  const { stream, store, runs } = options;
  const { record, experiment } = run;
  if (!run.policyRun) throw new Error(`run ${record.runId} trains no policy`);
  const { iterations } = experiment.ppo;
  const base = modelOf(await store.read(record.basePolicy!.name, record.basePolicy!.contentHash), 'base policy');
  const prompts = await runs.prompts(run);
  const algorithm = learningAlgorithms[parseMethod(run.policyRun.method).algorithm](experiment.ppo);
  const critic = algorithm.valuesFrom === 'critic' ? await readRewardModel(run, store) : undefined;
  const { learner, dispose } = createLearner(run, algorithm, base, critic);
  // Without its weights, which the learner holds where it computes.
  const described: StoredModel = { ...base, weights: new Map() };
  // Before the version announced last is looked up: after it, no earlier learner of this run announces another one.
  const writer = await stream.writer(learnerName(record.runId));
  try {
    const latest = await runs.latestVersion(record.runId);
    const restored = latest && latest.version > 0 ? await restore(learner, store, latest) : undefined;
    let history = await learningHistory(store, run, latest?.version ?? 0);
    const worker = await learningWorker(stream, writer, {
      runId: record.runId,
      learner,
      iterations,
      maxStaleness: stalenessOfRun(experiment, run.policyRun),
      targetKl: run.policyRun.targetKl ?? 0,
      positions: restored?.positions ?? { from: record.learnFrom, counted: record.learnFrom },
      requests: (iteration) => trainingRequests(run, prompts, iteration, stream.partitions),
      async publish(version, statistics, positions) {
        history = [...history, statistics];
        const published = await publish(run, learner, store, version, { history, positions }, described);
        await options.onIteration?.(statistics);
        return published;
      },
      announced: (version) => retain(run, store, version),
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

/**
 * The statistics of every iteration up to a version that a run has announced.
 *
 * @throws InputError if they have been deleted since, or are damaged
 */
export async function learningHistory(
  store: CheckpointStore,
  run: PipelineRun,
  version: number,
): Promise<readonly LearningStatistics[]> {
  if (version === 0) return [];
  return (await store.read(`${folderOf(run)}/statistics/version-${version}`)).metadata as LearningStatistics[];
}

/** Where a run's checkpoints lie in the store. */
function folderOf({ record }: PipelineRun): string {
  return [record.checkpoints, record.step].filter((part) => part !== '').join('/');
}

/** The reward model, which a critic begins as. */
async function readRewardModel({ record: { rewardModel } }: PipelineRun, store: CheckpointStore): Promise<StoredModel> {
  return modelOf(await store.read(rewardModel!.name, rewardModel!.contentHash), 'reward model');
}

function createLearner(
  { experiment, policyRun, reward }: PipelineRun,
  algorithm: LearningAlgorithm,
  base: StoredModel,
  rewardModel: StoredModel | undefined,
): { readonly learner: PolicyLearner; readonly dispose: () => void } {
  const { ppo } = experiment;
  const { beta } = reward!;
  const heads =
    algorithm.valuesFrom === 'policy' ? (['language-model', 'value'] as const) : (['language-model'] as const);
  const policy = createLanguageModel(base.config, withHeads(base.config, base.weights, heads));
  const critic =
    rewardModel &&
    createLanguageModel(rewardModel.config, withHeads(rewardModel.config, rewardModel.weights, ['value']));
  const { targetKl } = policyRun!;
  const klStrength: KlStrength =
    targetKl === undefined ? { beta } : { targetKl, initialBeta: beta, perDeviation: reward!.reward === 'raw' };
  const adam = { beta1: 0.9, beta2: 0.999, epsilon: ppo.adamEpsilon };
  const reference = createLanguageModel(base.config, base.weights);
  const seed = runSeed(experiment, policyRun);
  return {
    learner: createPolicyLearner({ algorithm, policy, adam, reference, critic, settings: ppo, klStrength, seed }),
    dispose() {
      for (const model of [policy, reference, critic]) model?.dispose();
    },
  };
}

/** The learner's state first, then the policy that points to it: who finds the policy finds the state. */
async function publish(
  run: PipelineRun,
  learner: PolicyLearner,
  store: CheckpointStore,
  version: number,
  { history, positions }: Pick<LearnerState, 'positions'> & { readonly history: readonly LearningStatistics[] },
  base: StoredModel,
): Promise<PublishedCheckpoint> {
  const { iteration, weights, optimiser, critic, targetKl } = learner.snapshot();
  const place = (kind: string): string => `${folderOf(run)}/${kind}/version-${version}`;
  const checkpoint = place('policies');
  const state: LearnerState = {
    positions,
    snapshot: { iteration, targetKl, optimiserSteps: optimiser.steps },
    ...(critic && { criticSteps: critic.optimiser.steps }),
  };
  await store.publish(place('statistics'), new Map(), history);
  const files = new Map([[optimiserFile, encodeSafetensors(optimiser.moments)]]);
  if (critic) {
    files.set(criticFile, encodeSafetensors(critic.weights));
    files.set(criticOptimiserFile, encodeSafetensors(critic.optimiser.moments));
  }
  const metadata: PolicyMetadata = {
    learner: { name: place('learner'), contentHash: await store.publish(place('learner'), files, state) },
  };
  const contentHash = await store.publish(checkpoint, pretrainedFiles({ ...base, weights }), metadata);
  return { checkpoint, contentHash };
}

/**
 * Deletes the checkpoints of versions that no sampler is asked for any more, and no learner goes back to. Later ones stay, even
 * if they are none of this learner's: it may have been replaced a moment ago.
 */
async function retain(run: PipelineRun, store: CheckpointStore, version: number): Promise<void> {
  const { iterations, maxStaleness } = run.experiment.ppo;
  const oldest = Math.max(0, version - 1 - maxStaleness);
  for (const kind of ['policies', 'learner', 'statistics']) {
    const place = `${folderOf(run)}/${kind}`;
    const kept = Array.from({ length: iterations - oldest + 1 }, (_, index) => `${place}/version-${oldest + index}`);
    await store.retain(place, new Set(kept));
  }
}

const optimiserFile = 'optimiser.safetensors';
const criticFile = 'critic.safetensors';
const criticOptimiserFile = 'critic-optimiser.safetensors';

async function restore(
  learner: PolicyLearner,
  store: CheckpointStore,
  { checkpoint, contentHash }: PolicyVersion,
): Promise<LearnerState> {
  const policy = await store.read(checkpoint, contentHash);
  const pointer = (policy.metadata as PolicyMetadata).learner;
  const { files, metadata } = await store.read(pointer.name, pointer.contentHash);
  const state = metadata as LearnerState;
  const weightsIn = (file: string): Weights => decodeSafetensors(files.get(file)!, `${pointer.name}/${file}`);
  learner.restore({
    iteration: state.snapshot.iteration,
    targetKl: state.snapshot.targetKl,
    weights: modelOf(policy, checkpoint).weights,
    optimiser: { moments: weightsIn(optimiserFile), steps: state.snapshot.optimiserSteps },
    ...(state.criticSteps !== undefined && {
      critic: {
        weights: weightsIn(criticFile),
        optimiser: { moments: weightsIn(criticOptimiserFile), steps: state.criticSteps },
      },
    }),
  });
  return state;
}
