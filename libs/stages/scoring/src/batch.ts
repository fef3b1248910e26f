import { Purpose, type RewardScore, type SampledRollout, type ScoredRollout } from '@infalign/contracts';
import { judgedSequence, type LanguageModel } from '@infalign/language-model';

/** A reward model as rollouts are scored by it. */
export interface Scorer {
  /** The name under which its scores appear. */
  readonly name: string;
  /** Content hash of its checkpoint: scores of different versions are never mixed. */
  readonly version: string;
  readonly model: LanguageModel;
}

/** The models that score the rollouts of a run. */
export interface RunScorers {
  /** The model that the policy is trained against (the proxy). */
  readonly reward: Scorer;
  /** Scores, beside it, what win rates are computed from: evaluation and reference rollouts. */
  readonly judge: Scorer | undefined;
}

/** Scores rollouts together. @returns in the order given */
export function scoredRollouts(rollouts: readonly SampledRollout[], { reward, judge }: RunScorers): ScoredRollout[] {
  const judged = judge ? rollouts.filter((rollout) => rollout.purpose !== Purpose.PURPOSE_TRAINING) : [];
  const rewards = scores(reward, rollouts);
  const judgements = judge ? scores(judge, judged) : [];
  const judgementOf = new Map(judged.map((rollout, index) => [rollout, judgements[index]!]));
  return rollouts.map((rollout, index) => ({ rollout, reward: rewards[index]!, judge: judgementOf.get(rollout) }));
}

/** What keeps the models from scoring a rollout; nothing if they can. */
export function rolloutProblem(rollout: SampledRollout, { reward, judge }: RunScorers): string | undefined {
  for (const scorer of judge ? [reward, judge] : [reward]) {
    const { vocabSize, maxPositions } = scorer.model.config;
    const unknownToken = [...rollout.promptTokens, ...rollout.responseTokens].find((token) => token >= vocabSize);
    if (unknownToken !== undefined) {
      return `token ${unknownToken} is not one of the ${vocabSize} of the vocabulary of ${scorer.name}`;
    }
    const { promptTokens, responseTokens } = judgedSequence(scorer.model.config, rollout);
    const length = promptTokens.length + responseTokens.length;
    if (length > maxPositions) {
      return `${length} tokens, end-of-text included, are more than the ${maxPositions} positions of ${scorer.name}`;
    }
  }
  return undefined;
}

function scores(scorer: Scorer, rollouts: readonly SampledRollout[]): RewardScore[] {
  if (rollouts.length === 0) return [];
  const { model, name, version } = scorer;
  const judged = rollouts.map((rollout) => judgedSequence(model.config, rollout));
  return Array.from(model.rewards(judged), (reward) => ({ model: name, modelVersion: version, reward }));
}
