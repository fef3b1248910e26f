import type { Arithmetic } from '@infalign/core';

/**
 * The Bradley–Terry negative log-likelihood of preferences: mean_i −log σ(r_chosen,i − r_rejected,i), computed as a
 * softplus, which neither overflows nor loses small values. Bradley & Terry (1952); for reward models, Ouyang et al.,
 * arXiv 2203.02155, Eq. 1. Differentiable in both arguments.
 *
 * @param chosenRewards shape [n]
 * @param rejectedRewards shape [n]
 * @returns scalar
 */
export function preferenceLoss<T>(math: Arithmetic<T>, chosenRewards: T, rejectedRewards: T): T {
  const margin = math.subtract(rejectedRewards, chosenRewards);
  // max(m, 0) + log(1 + e^{−|m|})
  const correction = math.logarithmOfOnePlus(math.exponential(math.negative(math.absolute(margin))));
  return math.mean(math.add(math.relu(margin), correction));
}

/**
 * The language-model loss: the mean negative log-probability of the target tokens, in nats a token. Differentiable.
 *
 * @param targetLogProbs log π of each target token, shape [n]
 * @returns scalar
 */
export function crossEntropyLoss<T>(math: Arithmetic<T>, targetLogProbs: T): T {
  return math.negative(math.mean(targetLogProbs));
}
