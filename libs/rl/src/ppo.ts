import type { Arithmetic } from '@infalign/core';

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
export function clippedPolicyLoss<T>(
  math: Arithmetic<T>,
  logProbs: T,
  oldLogProbs: T,
  advantages: T,
  clipEpsilon: number,
): T {
  return math.mean(clippedPolicyTerms(math, logProbs, oldLogProbs, advantages, clipEpsilon));
}

/** The terms that {@link clippedPolicyLoss} is the mean of, shape [n]. */
export function clippedPolicyTerms<T>(
  math: Arithmetic<T>,
  logProbs: T,
  oldLogProbs: T,
  advantages: T,
  clipEpsilon: number,
): T {
  const ratio = math.exponential(math.subtract(logProbs, oldLogProbs));
  const clipped = math.clip(ratio, 1 - clipEpsilon, 1 + clipEpsilon);
  const negated = math.negative(advantages);
  return math.maximum(math.multiply(negated, ratio), math.multiply(negated, clipped));
}

/**
 * The share of tokens whose probability ratio lies outside [1−ε, 1+ε], in [0, 1]: how far an update has moved the policy from the one
 * that sampled.
 *
 * @param logProbs log π of the tokens, shape [n]
 * @param oldLogProbs log π_old of the same tokens, shape [n]
 * @param clipEpsilon ε > 0
 * @returns scalar
 */
export function clipFraction<T>(math: Arithmetic<T>, logProbs: T, oldLogProbs: T, clipEpsilon: number): T {
  const ratio = math.exponential(math.subtract(logProbs, oldLogProbs));
  return math.mean(math.positive(math.subtract(math.absolute(math.subtract(ratio, 1)), clipEpsilon)));
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
export function clippedValueLoss<T>(math: Arithmetic<T>, values: T, oldValues: T, returns: T, clipEpsilon: number): T {
  const moved = math.clip(math.subtract(values, oldValues), -clipEpsilon, clipEpsilon);
  const clipped = math.add(oldValues, moved);
  const error = math.square(math.subtract(values, returns));
  return math.multiply(0.5, math.mean(math.maximum(error, math.square(math.subtract(clipped, returns)))));
}

/**
 * The value loss, averaged over tokens: `L = ½·mean_i (V_i − G_i)²`. Differentiable in `values`.
 *
 * @param values V, shape [n]
 * @param returns G, shape [n]
 * @returns scalar
 */
export function valueLoss<T>(math: Arithmetic<T>, values: T, returns: T): T {
  return math.multiply(0.5, math.mean(math.square(math.subtract(values, returns))));
}
