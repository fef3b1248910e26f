import { InputError } from '@infalign/core';
import type { ScoredRollout } from '@infalign/contracts';
import { calibrationKey, topics, type RolloutStream } from '@infalign/rollout-stream';
import { pooledBasis, promptBasis, subsetBasis, type CalibrationBasis } from './calibration-basis.js';
import type { CalibrationRun, ReferenceSubset, TrainingCalibration } from './calibration-run.js';
import { referenceDistribution, type ReferenceDistribution } from './reference-distribution.js';

/** A training rollout that waits for references. */
export interface Held {
  readonly scored: ScoredRollout;
  readonly training: TrainingCalibration;
}

/** What the calibrator knows of a partition: reference distributions, and rollouts that wait for them. */
export interface PartitionState {
  distribution(runId: string, promptId: string): ReferenceDistribution | undefined;
  put(distribution: ReferenceDistribution): void;
  /** Whether another reward model has taken the place of this one among the prompt's references. It does not come back. */
  isReplaced(runId: string, promptId: string, rewardModelVersion: string): boolean;
  /** What a rollout is calibrated against, if there are enough references. */
  basisFor(scored: ScoredRollout, training: TrainingCalibration): CalibrationBasis | undefined;
  hold(held: Held): void;
  /** Rollouts that wait for references of that run, in the order in which they came. */
  heldFor(referenceRunId: string): Held[];
  release(held: Held): void;
}

/** Reads the state of a partition from the stream, as it was committed last. */
export async function readPartitionState(
  stream: RolloutStream,
  partition: number,
  run: (runId: string) => Promise<CalibrationRun>,
): Promise<PartitionState> {
  const state = createPartitionState(await replacedRewardModels(stream, partition));
  for (const stored of (await stream.table(topics.calibrationState, partition)).values()) {
    state.put(referenceDistribution(stored));
  }
  for (const { scored } of (await stream.table(topics.calibrationHeld, partition)).values()) {
    const training = await trainingOf(scored!.rollout!.runId, run);
    // Nothing is wanted of a run that is not there any more: its rollouts stay where they are.
    if (training) state.hold({ scored: scored!, training });
  }
  return state;
}

async function trainingOf(
  runId: string,
  run: (runId: string) => Promise<CalibrationRun>,
): Promise<TrainingCalibration | undefined> {
  try {
    return (await run(runId)).training;
  } catch (error) {
    if (error instanceof InputError) return undefined;
    throw error;
  }
}

/** By `calibrationKey`: the versions of the reward model that were replaced, as far as the events are still there. */
async function replacedRewardModels(stream: RolloutStream, partition: number): Promise<Map<string, Set<string>>> {
  const topic = topics.calibrationEvents;
  const from = await stream.endOffsets(topic);
  from[partition] = (await stream.startOffsets(topic))[partition]!;
  const replaced = new Map<string, Set<string>>();
  for await (const { value } of stream.readAll(topic, from)) {
    if (value.rewardModelChange) addReplaced(replaced, value.runId, value.promptId, value.rewardModelChange.before);
  }
  return replaced;
}

function addReplaced(replaced: Map<string, Set<string>>, runId: string, promptId: string, version: string): void {
  const key = calibrationKey(runId, promptId);
  const versions = replaced.get(key);
  if (versions) versions.add(version);
  else replaced.set(key, new Set([version]));
}

function createPartitionState(replaced: Map<string, Set<string>>): PartitionState {
  /** By run and prompt. */
  const distributions = new Map<string, Map<string, Distribution>>();
  /** By run and reward model; what is missing has not been asked for since the last change. */
  const pools = new Map<string, Map<string, CalibrationBasis | undefined>>();
  /** By reference run and rollout id. */
  const held = new Map<string, Map<string, Held>>();

  function pool(runId: string, rewardModelVersion: string): CalibrationBasis | undefined {
    const ofRun = entry(pools, runId);
    if (!ofRun.has(rewardModelVersion)) ofRun.set(rewardModelVersion, makePool(runId, rewardModelVersion));
    return ofRun.get(rewardModelVersion);
  }

  function makePool(runId: string, rewardModelVersion: string): CalibrationBasis | undefined {
    const all = Array.from(distributions.get(runId)?.values() ?? [], ({ distribution }) => distribution);
    const pooled = all
      .filter((distribution) => distribution.rewardModelVersion === rewardModelVersion)
      // Not in the order in which they came to be known, which a restart changes.
      .sort((a, b) => (a.promptId < b.promptId ? -1 : 1));
    // The sum over all prompts, also those of other reward models: it never falls.
    const version = all.reduce((sum, distribution) => sum + distribution.version, 0);
    return pooled.length > 0 ? pooledBasis(pooled, version) : undefined;
  }

  return {
    distribution: (runId, promptId) => distributions.get(runId)?.get(promptId)?.distribution,
    put(distribution) {
      const { runId, promptId, rewardModelVersion } = distribution;
      const before = distributions.get(runId)?.get(promptId)?.distribution;
      if (before && before.rewardModelVersion !== rewardModelVersion) {
        addReplaced(replaced, runId, promptId, before.rewardModelVersion);
      }
      entry(distributions, runId).set(promptId, {
        distribution,
        basis: promptBasis(distribution),
        subsets: new Map(),
      });
      pools.delete(runId);
    },
    isReplaced: (runId, promptId, rewardModelVersion) =>
      replaced.get(calibrationKey(runId, promptId))?.has(rewardModelVersion) ?? false,
    basisFor({ rollout, reward }, { referenceRunId, subset, minimumReferences, newPrompts }) {
      const { modelVersion } = reward!;
      const own = distributions.get(referenceRunId)?.get(rollout!.promptId);
      if (own?.distribution.rewardModelVersion === modelVersion && own.basis.references >= minimumReferences) {
        return subset ? subsetOf(own, subset) : own.basis;
      }
      const pooled = newPrompts === 'pool' ? pool(referenceRunId, modelVersion) : undefined;
      return pooled && pooled.references >= minimumReferences ? pooled : undefined;
    },
    hold(waiting) {
      const ofRun = entry(held, waiting.training.referenceRunId);
      const { rolloutId } = waiting.scored.rollout!;
      // As in the table it is read from after a restart: the latest record of an id counts, in its place.
      ofRun.delete(rolloutId);
      ofRun.set(rolloutId, waiting);
    },
    heldFor: (referenceRunId) => [...(held.get(referenceRunId)?.values() ?? [])],
    release: ({ scored, training }) => void held.get(training.referenceRunId)?.delete(scored.rollout!.rolloutId),
  };
}

/** A distribution, and what rewards are calibrated against with it. */
interface Distribution {
  readonly distribution: ReferenceDistribution;
  readonly basis: CalibrationBasis;
  /** With some of its references, as far as asked for: by what says which. */
  readonly subsets: Map<string, CalibrationBasis>;
}

function subsetOf({ distribution, subsets }: Distribution, subset: ReferenceSubset): CalibrationBasis {
  const key = `${subset.references}/${subset.seed}`;
  let basis = subsets.get(key);
  if (!basis) subsets.set(key, (basis = subsetBasis(distribution, subset)));
  return basis;
}

/** The map under a key, made if there is none yet. */
function entry<Key, Value>(maps: Map<string, Map<Key, Value>>, key: string): Map<Key, Value> {
  let map = maps.get(key);
  if (!map) maps.set(key, (map = new Map<Key, Value>()));
  return map;
}
