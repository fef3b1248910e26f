import { Purpose, type RewardScore, type SampledRollout } from '@infalign/contracts';
import type { LanguageModel } from '@infalign/language-model';
import { isFrom, outgoing, topics, type Stage } from '@infalign/rollout-stream';

/** A reward model as rollouts are scored by it. */
export interface Scorer {
  /** The name under which its scores appear. */
  readonly name: string;
  /** Content hash of its checkpoint: scores of different versions are never mixed. */
  readonly version: string;
  readonly model: LanguageModel;
}

/**
 * The reward-scorer: `rollout.sampled` in, `rollout.scored` out.
 *
 * @param reward the model that the policy is trained against (the proxy)
 * @param judge scores, beside it, what win rates are computed from: evaluation and reference rollouts
 * @param maxBatchRecords rollouts scored together
 */
export function scoringStage(reward: Scorer, judge: Scorer | undefined, maxBatchRecords: number): Stage {
  return {
    name: 'reward-scorer',
    inputs: [topics.rolloutSampled],
    maxBatchRecords,
    process(batch) {
      const rollouts = batch.filter((record) => isFrom(record, topics.rolloutSampled)).map((record) => record.value);
      const judged = judge ? rollouts.filter((rollout) => rollout.purpose !== Purpose.PURPOSE_TRAINING) : [];
      const rewards = scores(reward, rollouts);
      const judgements = new Map(judge ? zip(judged, scores(judge, judged)) : []);
      return Promise.resolve({
        outputs: rollouts.map((rollout, index) =>
          outgoing(topics.rolloutScored, { rollout, reward: rewards[index]!, judge: judgements.get(rollout) }),
        ),
        consumed: batch.length,
      });
    },
  };
}

function scores(scorer: Scorer, rollouts: readonly SampledRollout[]): RewardScore[] {
  if (rollouts.length === 0) return [];
  return Array.from(scorer.model.rewards(rollouts), (reward) => ({
    model: scorer.name,
    modelVersion: scorer.version,
    reward,
  }));
}

function zip<A, B>(left: readonly A[], right: readonly B[]): [A, B][] {
  return left.map((value, index) => [value, right[index]!]);
}
