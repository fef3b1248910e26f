import { InputError } from './input-error.js';

/** Estimates of KL(π‖πref) in nats from samples of π. */
export interface KlEstimate {
  /** The mean log ratio: unbiased, can be negative. */
  k1: number;
  /** The mean of e^{−d} − 1 + d (Schulman, "Approximating KL divergence", 2020): unbiased, never negative. Not for a loss. */
  k3: number;
}

/**
 * KL(π‖πref) from log ratios d = log π(y|x) − log πref(y|x) of responses y that π sampled, each summed over the response's tokens.
 *
 * @param logRatios at least one, in nats
 * @throws InputError if there is none, or one is not finite
 */
export function estimateKl(logRatios: ArrayLike<number>): KlEstimate {
  if (logRatios.length === 0) throw new InputError('there are no log ratios to estimate a KL divergence from');
  let k1 = 0;
  let k3 = 0;
  for (let i = 0; i < logRatios.length; i++) {
    const d = logRatios[i] as number;
    if (!Number.isFinite(d))
      throw new InputError(`log ratio ${i + 1} of ${logRatios.length} is ${d}: it must be finite`);
    k1 += d;
    k3 += Math.expm1(-d) + d;
  }
  return { k1: k1 / logRatios.length, k3: k3 / logRatios.length };
}
