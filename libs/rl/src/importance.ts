/**
 * Importance weights of tokens that an older policy has sampled, cut off at the top:
 *
 *     w_t = min(c, π_now(y_t | …) / π_then(y_t | …))
 *
 * Cutting off bounds the variance at the price of a bias, as in Espeholt et al., IMPALA (arXiv 1802.01561), §4.1, there ρ̄.
 * Multiplied with the advantages they make PPO's clipped loss one around the policy as it is now, on samples of the one
 * before: the decoupled objective of Hilton et al., "Batch size-invariance for policy optimization" (arXiv 2110.00641), Eq. 5.
 *
 * @param logProbs log π_now of the tokens, n
 * @param behaviourLogProbs log π_then of the same tokens when they were sampled, n
 * @param largest c, ≥ 1
 * @returns n weights in (0, c]; all 1 where the policies are the same
 * @throws Error if the lengths differ
 */
export function clippedImportanceWeights(
  logProbs: ArrayLike<number>,
  behaviourLogProbs: ArrayLike<number>,
  largest: number,
): Float32Array {
  if (logProbs.length !== behaviourLogProbs.length) {
    throw new Error(
      `log-probs [${String(logProbs.length)}] and behaviour log-probs [${String(behaviourLogProbs.length)}] must agree`,
    );
  }
  return Float32Array.from(logProbs, (logProb, index) =>
    Math.min(largest, Math.exp(logProb - behaviourLogProbs[index]!)),
  );
}
