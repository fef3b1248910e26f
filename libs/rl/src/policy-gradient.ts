import type { Arithmetic } from '@infalign/core';
import { clippedPolicyTerms } from './ppo.js';

/**
 * REINFORCE: `L = −mean_i w_i·log π(y_i)`, whose gradient is that of −Σ A·log π where w is A over the share of a token in
 * the mean. Differentiable in `logProbs`. Williams (1992).
 *
 * @param logProbs log π of the tokens, shape [n]
 * @param weights w, shape [n]
 * @returns scalar
 */
export function policyGradientLoss<T>(math: Arithmetic<T>, logProbs: T, weights: T): T {
  return math.negative(math.mean(math.multiply(weights, logProbs)));
}

/** What GRPO's loss is given of each token, each of shape [n]. */
export interface GroupRelativeTokens<T> {
  /** log π_old of the tokens when sampled. */
  readonly oldLogProbs: T;
  readonly referenceLogProbs: T;
  /** The response's advantage. */
  readonly advantages: T;
  /** n/(s·|o|) with s responses and |o| tokens in the token's: every response weighs the same. */
  readonly responseWeights: T;
  /** β. */
  readonly beta: T;
}

/**
 * Group relative policy optimisation: PPO's clipped loss and an estimate of the KL at every token,
 *
 *     L = mean_responses 1/|o| Σ_t (clipped policy loss + β·(e^d − 1 − d)),   d = log πref − log π
 *
 * Shao et al., arXiv 2402.03300, Eq. 3 and 4. Differentiable in `logProbs`. The gradient of its KL term is not that of the KL
 * penalty which the frontier is exact for: it is here as published, to compare with.
 *
 * @param logProbs log π of the tokens, shape [n]
 * @param clipEpsilon ε > 0
 * @returns scalar
 */
export function groupRelativeLoss<T>(
  math: Arithmetic<T>,
  logProbs: T,
  tokens: GroupRelativeTokens<T>,
  clipEpsilon: number,
): T {
  const { oldLogProbs, referenceLogProbs, advantages, responseWeights, beta } = tokens;
  const policy = clippedPolicyTerms(math, logProbs, oldLogProbs, advantages, clipEpsilon);
  const distance = math.subtract(referenceLogProbs, logProbs);
  const kl = math.subtract(math.subtract(math.exponential(distance), 1), distance);
  return math.mean(math.multiply(responseWeights, math.add(policy, math.multiply(beta, kl))));
}

/**
 * GRPO's advantages: rewards of the responses to one prompt, shifted and scaled to mean 0 and (population) standard deviation 1;
 * all 0 where they are equal. Shao et al., arXiv 2402.03300, §4.1.2.
 *
 * @param rewards shape [n], n ≥ 1
 * @returns shape [n]
 */
export function groupRelativeAdvantages(rewards: readonly number[]): number[] {
  // Measured from the first reward: rounding of the mean would make differences of equal rewards, and of these advantages of ±1.
  const first = rewards[0]!;
  const mean = first + rewards.reduce((sum, reward) => sum + (reward - first), 0) / rewards.length;
  const deviation = Math.sqrt(rewards.reduce((sum, reward) => sum + (reward - mean) ** 2, 0) / rewards.length);
  return rewards.map((reward) => (deviation > 0 ? (reward - mean) / deviation : 0));
}
