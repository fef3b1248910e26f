import type { LearningStatistics, PolicyVersion } from '@infalign/contracts';
import {
  decodeSafetensors,
  encodeSafetensors,
  type Checkpoint,
  type CheckpointFiles,
  type CheckpointStore,
} from '@infalign/checkpoint';
import { pretrainedFiles, type Weights } from '@infalign/language-model';
import {
  baseOrigin,
  type LearnerSnapshot,
  type LearningOrigin,
  type PolicyLearner,
  type PublishedCheckpoint,
  type ReadPositions,
} from '@infalign/stage-learning';
import type { PipelineRun } from './pipeline-run.js';
import { modelOf, type StoredModel } from './stored-model.js';

/** What a learner's checkpoint stores beside the policy: all that it needs to go on. */
export interface LearnerState {
  readonly snapshot: Pick<LearnerSnapshot, 'iteration' | 'targetKl'> & { readonly optimiserSteps: number };
  readonly positions: ReadPositions;
  /** How often the run had been restored to other topics than those that the positions are of; without it, never. */
  readonly restorations?: number;
  /** Where learning begins since the last rollback; without it, with the base policy. */
  readonly origin?: LearningOrigin;
  /** Optimiser steps of the critic, where there is one. */
  readonly criticSteps?: number;
}

/** Where a learner is: in its topics, and in its run. */
export interface LearnerPlace {
  readonly positions: ReadPositions;
  readonly origin: LearningOrigin;
}

/** What a policy version needs to be learned on from, as it was stored. */
export interface StoredLearner {
  readonly policy: Checkpoint;
  /** Its files are the optimiser's moments, the critic, and adapters, which the policy has in its weights. */
  readonly learner: Checkpoint;
  readonly state: LearnerState;
}

/** Points from a policy's checkpoint to the state of the learner that made it. */
interface PolicyMetadata {
  readonly learner: { readonly name: string; readonly contentHash: string };
}

/** The kinds of checkpoints that a version has, each in a folder of its run. */
const kinds = ['policies', 'learner', 'statistics'] as const;

const optimiserFile = 'optimiser.safetensors';
const adaptersFile = 'adapters.safetensors';
const criticFile = 'critic.safetensors';
const criticOptimiserFile = 'critic-optimiser.safetensors';

/** Where a run's checkpoints lie in the store. */
function folderOf({ record }: PipelineRun): string {
  return [record.checkpoints, record.step].filter((part) => part !== '').join('/');
}

/**
 * Publishes a version: the learner's state first, then the policy that points to it. Who finds the policy finds the state.
 *
 * @param base the base policy, for all that is not learned
 */
export async function publishLearner(
  run: PipelineRun,
  store: CheckpointStore,
  version: number,
  learner: PolicyLearner,
  history: readonly LearningStatistics[],
  place: LearnerPlace,
  base: StoredModel,
): Promise<PublishedCheckpoint> {
  const { iteration, weights, optimiser, critic, targetKl } = learner.snapshot();
  const files = new Map([[optimiserFile, encodeSafetensors(optimiser.moments)]]);
  if (base.config.adapters) files.set(adaptersFile, encodeSafetensors(weights));
  if (critic) {
    files.set(criticFile, encodeSafetensors(critic.weights));
    files.set(criticOptimiserFile, encodeSafetensors(critic.optimiser.moments));
  }
  const state: LearnerState = {
    ...placed(run, place),
    snapshot: { iteration, targetKl, optimiserSteps: optimiser.steps },
    ...(critic && { criticSteps: critic.optimiser.steps }),
  };
  const policyFiles = pretrainedFiles({ ...base, weights: new Map([...base.weights, ...weights]) });
  return await publishFiles(run, store, `version-${version}`, policyFiles, files, state, history);
}

/**
 * Publishes a stored version once more, as another one.
 *
 * @param place what of its state is another
 */
export async function publishAgain(
  run: PipelineRun,
  store: CheckpointStore,
  { from, as }: { readonly from: PolicyVersion; readonly as: number },
  stored: StoredLearner,
  place: LearnerPlace,
): Promise<PublishedCheckpoint> {
  const history = await learningHistory(store, run, from);
  // A learner that does not know yet that it has been replaced may be publishing the version of that number.
  const name = `version-${as}-is-${from.version}`;
  const { snapshot, criticSteps } = stored.state;
  const state = { snapshot, ...(criticSteps !== undefined && { criticSteps }), ...placed(run, place) };
  return await publishFiles(run, store, name, stored.policy.files, stored.learner.files, state, history);
}

/** The part of a learner's state that says where it is. What most runs never do, roll back or be restored, it leaves out. */
function placed({ record }: PipelineRun, { positions, origin }: LearnerPlace) {
  const { restorations } = record;
  return { positions, ...(origin.version > 0 && { origin }), ...(restorations > 0 && { restorations }) };
}

async function publishFiles(
  run: PipelineRun,
  store: CheckpointStore,
  name: string,
  policyFiles: CheckpointFiles,
  learnerFiles: CheckpointFiles,
  state: LearnerState,
  history: readonly LearningStatistics[],
): Promise<PublishedCheckpoint> {
  const place = (kind: (typeof kinds)[number]): string => `${folderOf(run)}/${kind}/${name}`;
  await store.publish(place('statistics'), new Map(), history);
  const metadata: PolicyMetadata = {
    learner: { name: place('learner'), contentHash: await store.publish(place('learner'), learnerFiles, state) },
  };
  const checkpoint = place('policies');
  return { checkpoint, contentHash: await store.publish(checkpoint, policyFiles, metadata) };
}

/**
 * Reads a version that learning has announced, or a rollback.
 *
 * @throws InputError if a checkpoint is gone or damaged
 */
export async function readLearner(
  store: CheckpointStore,
  { checkpoint, contentHash }: PolicyVersion,
): Promise<StoredLearner> {
  const policy = await store.read(checkpoint, contentHash);
  const pointer = (policy.metadata as PolicyMetadata).learner;
  const learner = await store.read(pointer.name, pointer.contentHash);
  return { policy, learner, state: learner.metadata as LearnerState };
}

/** The weights of the critic in a learner's checkpoint; undefined where it learned without one. */
export function criticOf({ files }: Checkpoint): Weights | undefined {
  const file = files.get(criticFile);
  return file && decodeSafetensors(file, criticFile);
}

/** Gives a learner the state that was stored. @returns what it was stored with */
export function restoreLearner(
  learner: PolicyLearner,
  { policy, learner: stored, state }: StoredLearner,
): LearnerState {
  const weightsIn = (file: string): Weights => decodeSafetensors(stored.files.get(file)!, file);
  learner.restore({
    iteration: state.snapshot.iteration,
    targetKl: state.snapshot.targetKl,
    weights: stored.files.has(adaptersFile) ? weightsIn(adaptersFile) : modelOf(policy, 'policy').weights,
    optimiser: { moments: weightsIn(optimiserFile), steps: state.snapshot.optimiserSteps },
    ...(state.criticSteps !== undefined && {
      critic: {
        weights: criticOf(stored)!,
        optimiser: { moments: weightsIn(criticOptimiserFile), steps: state.criticSteps },
      },
    }),
  });
  return state;
}

/** Where a learner goes on in `rollout.calibrated`: where it was, unless its topics are not those of before. */
export function positionsOf({ record }: PipelineRun, state: LearnerState | undefined): ReadPositions {
  if (state && (state.restorations ?? 0) === record.restorations) return state.positions;
  return { from: record.learnFrom, counted: record.learnFrom };
}

/** Where learning begins. */
export function originOf(state: LearnerState | undefined): LearningOrigin {
  return state?.origin ?? baseOrigin;
}

/**
 * The statistics of every iteration up to a version that a run has announced; of the iterations that a rollback has undone,
 * none.
 *
 * @throws InputError if they have been deleted since, or are damaged
 */
export async function learningHistory(
  store: CheckpointStore,
  run: PipelineRun,
  version: PolicyVersion | undefined,
): Promise<readonly LearningStatistics[]> {
  if (!version || version.version === 0) return [];
  const name = version.checkpoint.split('/').at(-1)!;
  return (await store.read(`${folderOf(run)}/statistics/${name}`)).metadata as LearningStatistics[];
}

/**
 * Deletes the checkpoints of versions that no sampler is asked for any more, no learner goes back to, and no rollback may. Later
 * ones stay, even if they are none of this learner's: it may have been replaced a moment ago.
 *
 * @param keptVersions versions that stay for a rollback
 */
export async function retainVersions(
  run: PipelineRun,
  store: CheckpointStore,
  version: number,
  keptVersions: number,
): Promise<void> {
  const oldest = version - 1 - run.experiment.ppo.maxStaleness - keptVersions;
  for (const kind of kinds) {
    await store.retain(`${folderOf(run)}/${kind}`, (name) => Number(/\/version-(\d+)[^/]*$/.exec(name)?.[1]) >= oldest);
  }
}
