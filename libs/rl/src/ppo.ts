import * as tf from '@tensorflow/tfjs-core';

/**
 * PPO's clipped policy loss, averaged over tokens.
 *
 *     L = mean_i max(−A_i·ρ_i, −A_i·clip(ρ_i, 1−ε, 1+ε)),   ρ_i = exp(log π(y_i) − log π_old(y_i))
 *
 * Schulman et al., "Proximal Policy Optimization Algorithms" (arXiv 1707.06347), Eq. 7, negated. Differentiable in
 * `logProbs`. At ρ = 1 the gradient is that of the unclipped term.
 *
 * @param logProbs log π of the tokens, shape [n]
 * @param oldLogProbs log π_old of the same tokens when sampled, shape [n]
 * @param advantages A, shape [n]
 * @param clipEpsilon ε > 0
 * @returns scalar
 */
export function clippedPolicyLoss(
  logProbs: tf.Tensor1D,
  oldLogProbs: tf.Tensor1D,
  advantages: tf.Tensor1D,
  clipEpsilon: number,
): tf.Scalar {
  const ratio = tf.exp(tf.sub(logProbs, oldLogProbs));
  const clipped = tf.clipByValue(ratio, 1 - clipEpsilon, 1 + clipEpsilon);
  const negated = tf.neg(advantages);
  return tf.mean(tf.maximum(tf.mul(negated, ratio), tf.mul(negated, clipped)));
}

/**
 * PPO's clipped value loss, averaged over tokens.
 *
 *     L = ½·mean_i max((V_i − G_i)², (V_old,i + clip(V_i − V_old,i, −ε, ε) − G_i)²)
 *
 * As in the original PPO code (see Huang et al., "The 37 Implementation Details of PPO", 2022, detail 9).
 * Differentiable in `values`.
 *
 * @param values V, shape [n]
 * @param oldValues V_old, the values the advantages were computed with, shape [n]
 * @param returns G, shape [n]
 * @param clipEpsilon ε > 0, in units of the reward
 * @returns scalar
 */
export function clippedValueLoss(
  values: tf.Tensor1D,
  oldValues: tf.Tensor1D,
  returns: tf.Tensor1D,
  clipEpsilon: number,
): tf.Scalar {
  const clipped = tf.add(oldValues, tf.clipByValue(tf.sub(values, oldValues), -clipEpsilon, clipEpsilon));
  const squares = tf.maximum(tf.square(tf.sub(values, returns)), tf.square(tf.sub(clipped, returns)));
  return tf.mul(0.5, tf.mean(squares));
}

/** How far one update moved the policy from the one that sampled. */
export interface RatioStatistics {
  /** Share of tokens whose ratio lies outside [1−ε, 1+ε], in [0, 1]. */
  readonly clipFraction: number;
  /** Mean of (ρ − 1) − log ρ: the k3 estimate of KL(π_old ‖ π) per token, in nats, ≥ 0. */
  readonly approxKl: number;
  /** Mean of ρ; 1 in expectation. */
  readonly meanRatio: number;
}

/**
 * Statistics of the probability ratios ρ = π/π_old.
 *
 * @param logProbs log π of the tokens, shape [n], n ≥ 1
 * @param oldLogProbs log π_old, shape [n]
 * @param clipEpsilon ε > 0
 * @throws Error if the shapes differ or are empty
 */
export function ratioStatistics(
  logProbs: ArrayLike<number>,
  oldLogProbs: ArrayLike<number>,
  clipEpsilon: number,
): RatioStatistics {
  const n = logProbs.length;
  if (n === 0 || n !== oldLogProbs.length) {
    throw new Error(
      `log-probs [${String(n)}] and old log-probs [${String(oldLogProbs.length)}] must agree, and not be empty`,
    );
  }
  let clipped = 0;
  let approxKl = 0;
  let ratios = 0;
  for (let i = 0; i < n; i++) {
    const logRatio = logProbs[i]! - oldLogProbs[i]!;
    const ratioMinusOne = Math.expm1(logRatio);
    if (Math.abs(ratioMinusOne) > clipEpsilon) clipped++;
    approxKl += ratioMinusOne - logRatio;
    ratios += 1 + ratioMinusOne;
  }
  return { clipFraction: clipped / n, approxKl: approxKl / n, meanRatio: ratios / n };
}
