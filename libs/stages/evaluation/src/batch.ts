import { estimateKl, mean } from '@infalign/core';
import type { EvaluationResult, ScoredRollout } from '@infalign/contracts';
import type { LanguageModel, LanguageModelConfig } from '@infalign/language-model';

/**
 * Measures a policy on one prompt, from scored samples of it.
 *
 * The KL is `E_{y~π} Σ_t KL(π(·|x,y<t) ‖ πref(·|x,y<t))` with the exact divergence between the two next-token
 * distributions at every position of every sample; k1 and k3 of the response's log ratio stand beside it.
 *
 * @param rollouts all samples of one prompt by one policy version, in order of their sample index; at least one
 */
export function evaluationResult(
  rollouts: readonly ScoredRollout[],
  policy: LanguageModel,
  reference: LanguageModel,
): EvaluationResult {
  const sampled = rollouts.map((scored) => scored.rollout!);
  const { runId, policyVersion, promptId, temperature } = sampled[0]!;
  const exact = policy.tokenKl(reference, sampled, temperature);
  const referenceLogProbs = reference.responseLogProbs(sampled, temperature);
  const estimate = estimateKl(sampled.map(({ logProbs }, index) => sum(logProbs) - sum(referenceLogProbs[index]!)));
  return {
    runId,
    policyVersion,
    promptId,
    rewards: rollouts.map((scored) => scored.reward!.reward),
    judgeRewards: rollouts.flatMap((scored) => (scored.judge ? [scored.judge.reward] : [])),
    klExact: mean(exact.map(sum)),
    klK1: estimate.k1,
    klK3: estimate.k3,
    responseTokens: mean(sampled.map((rollout) => rollout.responseTokens.length)),
  };
}

/**
 * What keeps a policy from being measured on a rollout; nothing if it can be.
 *
 * @param first the first rollout of its batch
 */
export function rolloutProblem(
  scored: ScoredRollout,
  first: ScoredRollout,
  { vocabSize, maxPositions }: LanguageModelConfig,
): string | undefined {
  const { promptTokens, responseTokens } = scored.rollout!;
  const unknownToken = [...promptTokens, ...responseTokens].find((token) => token >= vocabSize);
  if (unknownToken !== undefined) {
    return `token ${unknownToken} is not one of the ${vocabSize} of the policy's vocabulary`;
  }
  const length = promptTokens.length + responseTokens.length;
  if (length > maxPositions) return `${length} tokens are more than the ${maxPositions} positions of the policy`;
  if ((scored.judge === undefined) !== (first.judge === undefined)) return 'the judge has scored a part of its batch';
  return undefined;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += values[index]!;
  return total;
}
