/**
 * Per-token rewards of the KL-regularised objective: a penalty on every token, and the transformed reward on the last.
 *
 *     r_t = −β·(log π_behaviour(y_t|·) − log πref(y_t|·)) + [t = T−1]·R_Φ
 *
 * Their sum over a response is R_Φ − β·log(π/πref)(y|x), whose expectation under π is the objective (InfAlign,
 * arXiv 2412.19792, Eq. 4 with R_Φ in place of the reward). R_Φ and β must be on the same scale: the normalised
 * transformation takes the normalised β.
 *
 * @param logProbs log π_behaviour of each response token at sampling, shape [T], T ≥ 1
 * @param referenceLogProbs log πref of the same tokens, shape [T], at the same temperature
 * @param transformedReward R_Φ of the whole response
 * @param beta β ≥ 0, in units of the transformed reward per nat
 * @returns r_t, shape [T]
 * @throws Error if the shapes differ, the response is empty, or the reward is not finite
 */
export function tokenRewards(
  logProbs: ArrayLike<number>,
  referenceLogProbs: ArrayLike<number>,
  transformedReward: number,
  beta: number,
): Float64Array {
  const length = logProbs.length;
  if (length !== referenceLogProbs.length) {
    throw new Error(
      `log-probs [${String(length)}] and reference log-probs [${String(referenceLogProbs.length)}] differ in shape`,
    );
  }
  if (length === 0) throw new Error('a response without tokens has no place for its reward');
  if (!Number.isFinite(transformedReward)) {
    throw new Error(`the transformed reward must be finite, not ${String(transformedReward)}`);
  }
  const rewards = Float64Array.from({ length }, (_, t) => -beta * (logProbs[t]! - referenceLogProbs[t]!));
  rewards[length - 1]! += transformedReward;
  return rewards;
}
