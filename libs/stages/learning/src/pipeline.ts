import {
  Purpose,
  type CalibratedRollout,
  type LearningStatistics,
  type PolicyVersion,
  type SamplingRequest,
} from '@infalign/contracts';
import { mean } from '@infalign/core';
import {
  outgoing,
  rolloutId,
  topics,
  type OutgoingRecord,
  type RolloutStream,
  type StreamWriter,
  type TopicReader,
  type Worker,
} from '@infalign/rollout-stream';
import { silentTelemetry, type Telemetry } from '@infalign/telemetry';
import { learningTelemetry } from './learning-telemetry.js';
import type { PolicyLearner } from './policy-learner.js';
import { createRolloutBuffer, type ReadPositions } from './rollout-buffer.js';

/** Where a checkpoint was published. */
export interface PublishedCheckpoint {
  /** Name in the checkpoint store. */
  readonly checkpoint: string;
  /** SHA-256 of its content, hexadecimal. */
  readonly contentHash: string;
}

/** What a learner needs beside its learner. */
export interface LearningWorkerOptions {
  readonly runId: string;
  readonly learner: PolicyLearner;
  /** Iterations the run has. */
  readonly iterations: number;
  /** How many updates old a rollout may be when it is learned from; 0 is on-policy. */
  readonly maxStaleness: number;
  /** The KL asked for in nats, or 0 where the run has a fixed β. */
  readonly targetKl: number;
  /** Where the learner's iterations are counted from. */
  readonly origin: LearningOrigin;
  /** Where to begin in `rollout.calibrated`: the positions that the learner's state belongs to. */
  readonly positions: ReadPositions;
  /**
   * The requests for the rollouts of an iteration (counted from 1), to be sampled from the version that
   * {@link policyVersionOf} says. Their order is the order in which their rollouts are learned from.
   */
  requests(iteration: number): readonly SamplingRequest[];
  /**
   * Stores the learner's state after an iteration, with the statistics and the positions in `rollout.calibrated` that it
   * belongs to. Called before the version is announced: a version that was never announced is simply written again.
   */
  publish(version: number, statistics: LearningStatistics, positions: ReadPositions): Promise<PublishedCheckpoint>;
  /** Called when a version is announced: what only the ones before needed can go. */
  announced(version: number): Promise<void>;
  /** Told of iterations and of the time in between. Default: nothing is told. */
  readonly telemetry?: Telemetry;
}

/** Where learning begins: with the base policy, or with the version that a rollback has announced. */
export interface LearningOrigin {
  readonly version: number;
  /** The iteration that this version is the outcome of; the next one is the first that is learned. */
  readonly iteration: number;
}

/** The base policy. */
export const baseOrigin: LearningOrigin = { version: 0, iteration: 0 };

/**
 * The policy version that the rollouts of an iteration (counted from 1) are sampled from: the one before, or as many before
 * that as staleness allows, but none before the origin. It follows from the iteration alone, so the same rollouts are learned
 * from however fast sampling and learning are.
 */
export function policyVersionOf(iteration: number, maxStaleness: number, origin: LearningOrigin = baseOrigin): number {
  return origin.version + Math.max(0, iteration - origin.iteration - 1 - maxStaleness);
}

/** The version that an iteration is announced as. */
export function versionOfIteration(iteration: number, origin: LearningOrigin): number {
  return origin.version + iteration - origin.iteration;
}

/** The name under which a run's learner writes: a second learner of the run fences off the first. */
export function learnerName(runId: string): string {
  return `ppo-learner/${runId}`;
}

/** Rollouts that are read at a time. */
const rolloutsAtOnce = 512;

/**
 * The PPO learner of one run: waits until the rollouts of its next iteration are all there on `rollout.calibrated`, learns
 * from them, stores a checkpoint, and, in one transaction, announces the policy version and dispatches further requests.
 *
 * The announcement is what makes an iteration happen: the checkpoint that it points to holds the optimiser's state and the
 * positions to read on from, so the two never disagree.
 *
 * @param writer of the name {@link learnerName}, which the worker closes. It is opened before the learner's state is looked
 *   up: an earlier learner of the run can announce nothing from then on
 */
export async function learningWorker(
  stream: RolloutStream,
  writer: StreamWriter,
  options: LearningWorkerOptions,
): Promise<Worker> {
  const { runId, learner, iterations, maxStaleness, origin } = options;
  const reader: TopicReader<CalibratedRollout> = await stream.follow(topics.rolloutCalibrated, options.positions.from);
  const buffer = createRolloutBuffer(options.positions, learner.iteration + 1, maxStaleness + 1, (iteration) =>
    iteration > iterations ? [] : expectedRollouts(options.requests(iteration)),
  );

  const told = learningTelemetry(options.telemetry ?? silentTelemetry, runId, options.targetKl);

  async function learn(rollouts: readonly CalibratedRollout[]): Promise<readonly OutgoingRecord[]> {
    const before = versionOfIteration(learner.iteration, origin);
    const staleness = mean(rollouts.map((each) => before - each.scored!.rollout!.policyVersion));
    const learned = told.optimised(() => learner.learn(rollouts, before));
    const statistics = { ...learned, staleness, dropped: buffer.takeDropped() };
    const { iteration } = learner;
    const version = versionOfIteration(iteration, origin);
    const published = await told.published(() => options.publish(version, statistics, buffer.positions()));
    told.learned(version, statistics, rollouts);
    const final = iteration >= iterations;
    const announced: PolicyVersion = {
      runId,
      version,
      ...published,
      iteration,
      beta: statistics.beta,
      observedKl: statistics.kl,
      targetKl: options.targetKl,
      final,
      rolledBackTo: 0,
    };
    const next = iteration + 1 + maxStaleness;
    return [
      outgoing(topics.policyVersions, announced),
      ...(next > iterations ? [] : options.requests(next)).map((request) => outgoing(topics.samplingRequests, request)),
    ];
  }

  return {
    name: 'ppo-learner',
    /** @throws WriterFenced or TransactionFailed: the learner is then ahead of what was announced, and of no more use */
    async advance() {
      if (learner.iteration >= iterations) return undefined;
      let consumed = 0;
      while (!buffer.isComplete()) {
        const records = await reader.read(rolloutsAtOnce);
        if (records.length === 0) return undefined;
        for (const record of records) {
          const { partition, offset } = record;
          // An undecodable record is nobody's rollout: those who produce to this topic never write one.
          const value = 'value' in record ? record.value : undefined;
          const rollout = value?.scored!.rollout;
          const isOwn = rollout?.runId === runId && rollout.purpose === Purpose.PURPOSE_TRAINING;
          buffer.add({ partition, offset }, isOwn ? value : undefined, record.trace);
        }
        consumed += records.length;
      }
      const outputs = await told.iteration(buffer.traces(), async () => {
        const made = await learn(buffer.take());
        await writer.append(made);
        return made;
      });
      // Not before: a learner that has been replaced without knowing must not delete what its successor has published.
      await options.announced(versionOfIteration(learner.iteration, origin));
      return { name: 'ppo-learner', consumed, produced: outputs.length, deadLetters: 0 };
    },
    changed: (timeoutMs) => reader.changed(timeoutMs),
    async close() {
      told.close();
      await reader.close();
      await writer.close();
    },
  };
}

/** The ids of the rollouts that requests ask for, in the order of the requests. */
function expectedRollouts(requests: readonly SamplingRequest[]): string[] {
  return requests.flatMap(({ runId, promptId, policyVersion, firstSampleIndex, samples }) =>
    Array.from({ length: samples }, (_, index) =>
      rolloutId({ runId, promptId, policyVersion, sampleIndex: firstSampleIndex + index }),
    ),
  );
}
