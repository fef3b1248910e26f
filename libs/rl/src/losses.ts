import * as tf from '@tensorflow/tfjs-core';

/**
 * The Bradley–Terry negative log-likelihood of preferences: mean_i −log σ(r_chosen,i − r_rejected,i), computed as a
 * softplus, which neither overflows nor loses small values. Bradley & Terry (1952); for reward models, Ouyang et al.,
 * arXiv 2203.02155, Eq. 1. Differentiable in both arguments.
 *
 * @param chosenRewards shape [n]
 * @param rejectedRewards shape [n]
 * @returns scalar
 */
export function preferenceLoss(chosenRewards: tf.Tensor1D, rejectedRewards: tf.Tensor1D): tf.Scalar {
  const margin = tf.sub(rejectedRewards, chosenRewards);
  // max(m, 0) + log(1 + e^{−|m|}); tf.softplus switches to its asymptotes early and is off by 1e-4 there.
  return tf.mean(tf.add(tf.relu(margin), tf.log1p(tf.exp(tf.neg(tf.abs(margin))))));
}

/**
 * The language-model loss: the mean negative log-probability of the target tokens, in nats a token. Differentiable.
 *
 * @param targetLogProbs log π of each target token, shape [n]
 * @returns scalar
 */
export function crossEntropyLoss(targetLogProbs: tf.Tensor1D): tf.Scalar {
  return tf.neg(tf.mean(targetLogProbs));
}
