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
  return math.mean(softplus(math, math.subtract(rejectedRewards, chosenRewards)));
}

/**
 * The binary cross-entropy of probabilities σ(z) with targets that may lie between 0 and 1:
 * mean_i −y_i·log σ(z_i) − (1 − y_i)·log(1 − σ(z_i)) = mean_i log(1 + e^{z_i}) − y_i·z_i, least where σ(z_i) = y_i. It neither
 * overflows nor loses small values. Differentiable in the logits.
 *
 * @param logits z, shape [n]
 * @param targets y, from 0 to 1, shape [n]
 * @returns scalar
 */
export function binaryCrossEntropyLoss<T>(math: Arithmetic<T>, logits: T, targets: T): T {
  return math.mean(math.subtract(softplus(math, logits), math.multiply(targets, logits)));
}

/** log(1 + eˣ), elementwise. */
function softplus<T>(math: Arithmetic<T>, x: T): T {
  // max(x, 0) + log(1 + e^{−|x|}), with −|x| = x − 2·max(x, 0): so the slope at 0, where a new reward head begins, is ½
  // whatever the slope of max(x, 0) is taken to be there.
  const positive = math.relu(x);
  const minusAbsolute = math.subtract(x, math.multiply(2, positive));
  return math.add(positive, math.logarithmOfOnePlus(math.exponential(minusAbsolute)));
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
