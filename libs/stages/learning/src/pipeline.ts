import type { LearningStatistics, PolicyVersion, SamplingRequest } from '@infalign/contracts';
import { isFrom, outgoing, topics, type ConsumedRecord, type Stage } from '@infalign/rollout-stream';
import type { PpoLearner } from './ppo-learner.js';

/** Where a checkpoint was published. */
export interface PublishedCheckpoint {
  /** Name in the checkpoint store. */
  readonly checkpoint: string;
  /** SHA-256 of its content, hexadecimal. */
  readonly contentHash: string;
}

/** What a learner needs beside its learner. */
export interface LearningStageOptions {
  readonly runId: string;
  readonly learner: PpoLearner;
  /** Iterations the run has. */
  readonly iterations: number;
  /** Rollouts of one iteration. */
  readonly rolloutsPerIteration: number;
  /** The KL asked for in nats, or 0 where the run has a fixed β. */
  readonly targetKl: number;
  /** The requests for the rollouts of an iteration (counted from 1), to be sampled from that policy version. */
  requests(iteration: number, policyVersion: number): SamplingRequest[];
  /**
   * Stores the learner's state after an iteration, with the statistics and the position in `rollout.calibrated` that it
   * belongs to. Called before the version is announced: a version that was never announced is simply written again.
   */
  publish(version: number, statistics: LearningStatistics, position: LearnedPosition): Promise<PublishedCheckpoint>;
}

/** The last record learned from: optimiser state and position never disagree, because they are stored together. */
export interface LearnedPosition {
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
}

/**
 * The PPO learner: waits for the rollouts of an iteration on `rollout.calibrated`, learns from them, stores a
 * checkpoint, and, in the transaction that consumes them, announces the policy version and dispatches the next requests.
 */
export function learningStage(options: LearningStageOptions): Stage {
  const { learner } = options;
  return {
    name: 'ppo-learner',
    inputs: [topics.rolloutCalibrated],
    maxBatchRecords: options.rolloutsPerIteration,
    async process(batch) {
      if (batch.length < options.rolloutsPerIteration) return { outputs: [], consumed: 0 };
      const rollouts = batch.filter((record) => isFrom(record, topics.rolloutCalibrated)).map((record) => record.value);
      const statistics = learner.learn(rollouts);
      const version = learner.iteration;
      const published = await options.publish(version, statistics, lastPosition(batch));
      const final = version >= options.iterations;
      const announced: PolicyVersion = {
        runId: options.runId,
        version,
        ...published,
        iteration: learner.iteration,
        beta: statistics.beta,
        observedKl: statistics.kl,
        targetKl: options.targetKl,
        final,
      };
      return {
        outputs: [
          outgoing(topics.policyVersions, announced),
          ...(final ? [] : options.requests(version + 1, version)).map((request) =>
            outgoing(topics.samplingRequests, request),
          ),
        ],
        consumed: batch.length,
      };
    },
  };
}

function lastPosition(batch: readonly ConsumedRecord[]): LearnedPosition {
  const { topic, partition, offset } = batch.at(-1)!;
  return { topic: topic.name, partition, offset };
}
