/**
 * The k1 estimator of KL(π ‖ πref) from one sample y ~ π: its log ratio d = log π(y) − log πref(y). Unbiased; can be
 * negative. Schulman, "Approximating KL Divergence" (2020).
 */
export function k1(logRatio: number): number {
  return logRatio;
}

/**
 * The k3 estimator of KL(π ‖ πref) from one sample y ~ π: e^{−d} − 1 + d, d = log π(y) − log πref(y). Unbiased where
 * π covers πref; never negative. For reports, not for a loss: its gradient is not the gradient of the KL.
 * Schulman, "Approximating KL Divergence" (2020).
 */
export function k3(logRatio: number): number {
  return Math.expm1(-logRatio) + logRatio;
}

/** Estimates of KL(π(·|x) ‖ πref(·|x)) in nats, from one response y ~ π. */
export interface KlEstimates {
  /** Σ_t d_t. */
  readonly k1: number;
  /** k3 of the whole response's log ratio Σ_t d_t: heavy-tailed once the KL is above a nat or so. */
  readonly k3: number;
  /** Σ_t k3(d_t): as unbiased as the others by the chain rule of the KL, and of far lower variance. */
  readonly tokenK3: number;
}

/**
 * KL estimates from the log-probs of one response.
 *
 * @param logProbs log π of each response token, shape [T]
 * @param referenceLogProbs log πref of the same tokens, shape [T]
 * @throws Error if the shapes differ
 */
export function klEstimates(logProbs: ArrayLike<number>, referenceLogProbs: ArrayLike<number>): KlEstimates {
  if (logProbs.length !== referenceLogProbs.length) {
    throw new Error(
      `log-probs [${String(logProbs.length)}] and reference log-probs [${String(referenceLogProbs.length)}] differ in shape`,
    );
  }
  let logRatio = 0;
  let tokenK3 = 0;
  for (let t = 0; t < logProbs.length; t++) {
    const tokenLogRatio = logProbs[t]! - referenceLogProbs[t]!;
    logRatio += tokenLogRatio;
    tokenK3 += k3(tokenLogRatio);
  }
  return { k1: k1(logRatio), k3: k3(logRatio), tokenK3 };
}
