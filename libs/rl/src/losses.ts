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
  // max(m, 0) + log(1 + e^{−|m|}), with −|m| = m − 2·max(m, 0): so the slope at a tie, where a new reward head begins, is ½
  // whatever the slope of max(m, 0) is taken to be there.
  const positive = math.relu(margin);
  const minusAbsolute = math.subtract(margin, math.multiply(2, positive));
  return math.mean(math.add(positive, math.logarithmOfOnePlus(math.exponential(minusAbsolute))));
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
