import type { Arithmetic } from '@infalign/core';
import { preferenceLoss } from './losses.js';

/** The log-probabilities of whole responses that are compared, by the policy and by πref, each of shape [pairs]. */
export interface ComparedResponses<T> {
  /** log π(y|x) of the better ones. */
  readonly chosen: T;
  /** log π(y|x) of the worse ones. */
  readonly rejected: T;
  readonly chosenReference: T;
  readonly rejectedReference: T;
}

/**
 * Direct preference optimisation: the preference loss on the implicit rewards β·log(π/πref),
 *
 *     L = mean −log σ(β·log(π/πref)(y_w) − β·log(π/πref)(y_l))
 *
 * Rafailov et al., arXiv 2305.18290, Eq. 7. Differentiable in the policy's log-probabilities.
 *
 * @param beta β > 0, shape [pairs]
 * @returns scalar
 */
export function dpoLoss<T>(math: Arithmetic<T>, responses: ComparedResponses<T>, beta: T): T {
  const { chosen, rejected, chosenReference, rejectedReference } = responses;
  return preferenceLoss(
    math,
    math.multiply(beta, math.subtract(chosen, chosenReference)),
    math.multiply(beta, math.subtract(rejected, rejectedReference)),
  );
}

/**
 * Identity preference optimisation: the difference of log-ratios is held to a margin,
 *
 *     L = mean (log(π/πref)(y_w) − log(π/πref)(y_l) − m)²,   m = 1/(2τ)
 *
 * Azar et al., arXiv 2310.12036, Eq. 17. On pairs drawn from πref whose better one is chosen, its optimum is that of the
 * identity of the calibrated reward at the raw β = τ. Differentiable in the policy's log-probabilities.
 *
 * @param margin m, shape [pairs]
 * @returns scalar
 */
export function ipoLoss<T>(math: Arithmetic<T>, responses: ComparedResponses<T>, margin: T): T {
  const { chosen, rejected, chosenReference, rejectedReference } = responses;
  const difference = math.subtract(math.subtract(chosen, chosenReference), math.subtract(rejected, rejectedReference));
  return math.mean(math.square(math.subtract(difference, margin)));
}

/** The weight of the likelihood in BoNBoN's loss (α; Gui et al., §4). */
const likelihoodWeight = 0.005;

/**
 * BoNBoN: learns the best-of-n policy from the best and the worst of n responses of πref,
 *
 *     L = α·mean(−log π(y_best)) + (1−α)·mean (log(π/πref)(y_best) − log(π/πref)(y_worst) − m)²,   α = 0.005
 *
 * Gui et al., arXiv 2406.00832, Eq. 4.5. Differentiable in the policy's log-probabilities.
 *
 * @param responses the best as chosen, the worst as rejected
 * @param margin m of {@link bestOfMargin}, shape [pairs]
 * @returns scalar
 */
export function bonbonLoss<T>(math: Arithmetic<T>, responses: ComparedResponses<T>, margin: T): T {
  return math.add(
    math.multiply(likelihoodWeight, math.negative(math.mean(responses.chosen))),
    math.multiply(1 - likelihoodWeight, ipoLoss(math, responses, margin)),
  );
}

/**
 * By how much the log-ratio of the best-of-n policy to πref differs between the best and the worst of n responses of πref, on
 * average: `(n−1)·Σ_{k=1}^{n−1} 1/k` (Gui et al., arXiv 2406.00832, Theorem 3: there 1/(2β*)).
 *
 * @param n a whole number, at least 2
 */
export function bestOfMargin(n: number): number {
  let sum = 0;
  for (let k = 1; k < n; k++) sum += 1 / k;
  return (n - 1) * sum;
}
