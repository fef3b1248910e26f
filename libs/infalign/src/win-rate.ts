import { InputError } from './input-error.js';
import type { OrderStatistic, Procedure } from './procedure.js';

/**
 * An estimator of the win rate of T(π) over T(πref) on one prompt: the mean, over *all* N-subsets of the policy's rewards
 * and all N-subsets of the reference's, of w(chosen from the one, chosen from the other), ties counted ½. This
 * U-statistic is unbiased. It is computed from order statistics in O(M log M): the i-th smallest of M is the k-th best
 * of a random N-subset with probability C(i−1, N−k)·C(M−i, k−1)/C(M, N).
 *
 * Make one estimator and call it for every prompt: the probabilities are computed once for each number of samples.
 *
 * @param procedure of N draws (the largest N of a mixture counts)
 * @returns a function of the raw rewards of M policy samples and L reference samples in any order, which it leaves as
 *   they are, to a number from 0 to 1. It throws an InputError if N > min(M, L) or a reward is not finite
 */
export function winRateEstimator(
  procedure: Procedure,
): (policyRewards: ArrayLike<number>, referenceRewards: ArrayLike<number>) => number {
  const draws = Math.max(...procedure.orderStatistics.map((one) => one.draws));
  const choices = procedure.orderStatistics.map((statistic) => ({
    statistic,
    byCount: new Map<number, Float64Array>(),
  }));
  const sortPolicy = sorterIntoScratch('policy');
  const sortReference = sorterIntoScratch('reference');

  return (policyRewards, referenceRewards) => {
    if (draws > Math.min(policyRewards.length, referenceRewards.length)) {
      throw new InputError(
        `${procedure.name} needs at least ${draws} samples per prompt on both sides, but a prompt has ` +
          `${policyRewards.length} of the policy and ${referenceRewards.length} of the reference: ` +
          'sample more responses or choose a smaller N',
      );
    }
    const policy = sortPolicy(policyRewards);
    const reference = sortReference(referenceRewards);
    let winRate = 0;
    for (const { statistic, byCount } of choices) {
      const policyChoice = cachedChoice(byCount, statistic, policy.length);
      const referenceChoice = cachedChoice(byCount, statistic, reference.length);
      winRate += statistic.weight * weightedWins(policy, policyChoice, reference, referenceChoice);
    }
    return Math.min(1, Math.max(0, winRate));
  };
}

/**
 * Σ_i Σ_j p_i q_j w(a_i, b_j), in one walk over both.
 *
 * @param policy a, in rising order
 * @param policyChoice p, as long as a
 * @param reference b, in rising order
 * @param referenceChoice q, as long as b
 */
export function weightedWins(
  policy: Float64Array,
  policyChoice: Float64Array,
  reference: Float64Array,
  referenceChoice: Float64Array,
): number {
  let wins = 0;
  let referenceBelow = 0;
  let j = 0;
  for (let i = 0; i < policy.length;) {
    const reward = policy[i] as number;
    while (j < reference.length && (reference[j] as number) < reward) referenceBelow += referenceChoice[j++] as number;
    let referenceTied = 0;
    while (j < reference.length && reference[j] === reward) referenceTied += referenceChoice[j++] as number;
    let chosen = 0;
    do chosen += policyChoice[i++] as number;
    while (i < policy.length && policy[i] === reward);
    wins += chosen * (referenceBelow + referenceTied / 2);
    referenceBelow += referenceTied;
  }
  return wins;
}

function sorterIntoScratch(side: string): (rewards: ArrayLike<number>) => Float64Array {
  let scratch = new Float64Array(0);
  return (rewards) => {
    if (scratch.length !== rewards.length) scratch = new Float64Array(rewards.length);
    scratch.set(rewards);
    scratch.sort();
    // Sorting puts −∞ first and +∞ and NaN last: the ends tell of all.
    for (const end of [scratch[0] as number, scratch[scratch.length - 1] as number]) {
      if (!Number.isFinite(end)) throw new InputError(`a ${side} reward is ${end}: rewards must be finite numbers`);
    }
    return scratch;
  };
}

function cachedChoice(byCount: Map<number, Float64Array>, statistic: OrderStatistic, count: number): Float64Array {
  let choice = byCount.get(count);
  if (choice === undefined) {
    choice = choiceProbabilities(statistic, count);
    byCount.set(count, choice);
  }
  return choice;
}

/**
 * The probability that the k-th best of N draws from M samples without replacement is the i-th smallest of them:
 * C(i−1, N−k)·C(M−i, k−1)/C(M, N) for i = 1 … M. By ratios outward from the largest, which neither overflow nor cancel.
 *
 * @param count M, at least N
 */
export function choiceProbabilities({ draws, rank }: OrderStatistic, count: number): Float64Array {
  const below = draws - rank;
  const above = rank - 1;
  const first = below;
  const last = count - 1 - above;
  /** p[i + 1] / p[i] for the 0-based i. */
  const ratio = (i: number) => ((i + 1) / (i + 1 - below)) * ((count - 1 - i - above) / (count - 1 - i));
  let mode = first;
  while (mode < last && ratio(mode) > 1) mode++;
  const probabilities = new Float64Array(count);
  probabilities[mode] = 1;
  for (let i = mode; i < last; i++) probabilities[i + 1] = (probabilities[i] as number) * ratio(i);
  for (let i = mode; i > first; i--) probabilities[i - 1] = (probabilities[i] as number) / ratio(i - 1);
  const total = probabilities.reduce((sum, probability) => sum + probability, 0);
  return probabilities.map((probability) => probability / total);
}
