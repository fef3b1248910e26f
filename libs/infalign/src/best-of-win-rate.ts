import { InputError } from './input-error.js';
import type { OrderStatistic, Procedure } from './procedure.js';
import { choiceProbabilities, weightedWins } from './win-rate.js';

/** A prompt's samples are dealt into so many parts; each in turn plays the reference, and the others the policy. */
const PARTS = 4;

/**
 * The fewest samples a prompt that `bestOfWinRateEstimator` can do with: three quarters of them must hold n·N, and a quarter N.
 *
 * @param n of the best-of-n policy, at least 1
 * @param procedure of N draws (the largest N of a mixture counts)
 */
export function samplesForBestOf(n: number, procedure: Procedure): number {
  const draws = Math.max(...procedure.orderStatistics.map((one) => one.draws));
  return Math.max(PARTS * draws, Math.ceil((n * draws * PARTS) / (PARTS - 1)));
}

/**
 * An estimator, from samples of πref alone, of the win rate on one prompt of T(best-of-n) over T(πref): best-of-n is the policy
 * whose every answer is that of n draws of πref which a selector likes best, and T is what is done with the answers. So T of N
 * draws chooses, by the scorer, among the answers to N groups of n, and meets the scorer's choice among N single draws.
 *
 * All draws of one comparison must be different samples, or the estimate is biased. The samples are dealt into four parts,
 * and each in turn is the reference while the other three are the policy's. Within that, it is the mean over *all* ways to
 * pick N disjoint groups of n from the policy's M samples and all N-subsets of the reference's: unbiased, and nothing is drawn
 * at random. With samples in rising order of the selector, i_1 < … < i_N are the best of N groups in
 * Π_l C(i_l − 1 − (l−1)n, n−1) ways, since the groups below take (l−1)n of the samples below i_l. The number of groups whose best lies above
 * a level of the scorer is summed up over these in one pass for each level, O(M²·N·min(k, N+1−k)) for the k-th best of N.
 *
 * Where the selector is also the scorer and there are no ties, its expectation is that of `bestOfPolicy`, whatever πref is.
 *
 * @param n at least 1
 * @returns a function of the selector's and the scorer's rewards of the same samples of πref, in the order in which they were
 *   drawn (samples that the selector holds equal are taken as they come). It throws an InputError if there are fewer than
 *   `samplesForBestOf`, the lengths differ, or a reward is not finite
 * @throws InputError if n is not a whole number of at least 1
 */
export function bestOfWinRateEstimator(
  n: number,
  procedure: Procedure,
): (selectorRewards: ArrayLike<number>, scorerRewards: ArrayLike<number>) => number {
  if (!(Number.isInteger(n) && n >= 1)) {
    throw new InputError(`the n of best-of-n samples must be a whole number of at least 1, not ${n}`);
  }
  const fewest = samplesForBestOf(n, procedure);
  const choices = procedure.orderStatistics.map((statistic) => ({
    statistic,
    ofPolicy: remembered((count) => groupChoice(statistic, n, count)),
    ofReference: remembered((count) => choiceProbabilities(statistic, count)),
  }));

  return (selectorRewards, scorerRewards) => {
    const count = scorerRewards.length;
    if (selectorRewards.length !== count) {
      throw new InputError(
        `selector and scorer must rate the same samples, not ${selectorRewards.length} and ${count}`,
      );
    }
    if (count < fewest) {
      throw new InputError(
        `${procedure.name} of the best of ${n} needs at least ${fewest} samples a prompt, but a prompt has ${count}: ` +
          'sample more references or choose a smaller n',
      );
    }
    for (let i = 0; i < count; i++) {
      if (!Number.isFinite(selectorRewards[i]) || !Number.isFinite(scorerRewards[i])) {
        throw new InputError(`a reward of sample ${i + 1} of ${count} is not finite`);
      }
    }
    let winRate = 0;
    for (let part = 0; part < PARTS; part++) {
      const policy: number[] = [];
      const reference: number[] = [];
      for (let i = 0; i < count; i++) (i % PARTS === part ? reference : policy).push(i);
      const byScorer = (a: number, b: number): number => (scorerRewards[a] as number) - (scorerRewards[b] as number);
      const rewardsOf = (samples: readonly number[]) => Float64Array.from(samples, (i) => scorerRewards[i] as number);
      const bySelector = [...policy].sort((a, b) => (selectorRewards[a] as number) - (selectorRewards[b] as number));
      policy.sort(byScorer);
      reference.sort(byScorer);
      const place = new Map(policy.map((sample, index) => [sample, index]));
      const places = Uint32Array.from(bySelector, (sample) => place.get(sample) as number);
      for (const { statistic, ofPolicy, ofReference } of choices) {
        winRate +=
          (statistic.weight / PARTS) *
          weightedWins(
            rewardsOf(policy),
            ofPolicy(policy.length)(places),
            rewardsOf(reference),
            ofReference(reference.length),
          );
      }
    }
    return Math.min(1, Math.max(0, winRate));
  };
}

/**
 * The probability of each sample to be the k-th best, by the scorer, of the N samples that the selector finds best in N disjoint
 * groups of n, over all such groups of M samples.
 *
 * @param count M, at least n·N
 * @returns a function of each sample's place by the scorer (0 … M−1, 0 the least), with samples in rising order of the
 *   selector, to probabilities with samples in rising order of the scorer
 */
function groupChoice({ draws, rank }: OrderStatistic, n: number, count: number): (places: Uint32Array) => Float64Array {
  const weights = Array.from({ length: draws }, (_, below) => bestOfGroupWeights(below, n, count));
  // The k-th best is above a level unless at most k−1 groups are, or: if at most N−k groups are below it. The smaller number is counted.
  const countAbove = rank - 1 <= draws - rank;
  const most = countAbove ? rank - 1 : draws - rank;
  /** Of each number x of counted groups, and of l groups so far: the sum of the products of their weights. */
  const sums = Array.from({ length: draws + 1 }, () => new Float64Array(most + 1));
  const reaches = (places: Uint32Array, level: number): number => {
    for (const sum of sums) sum.fill(0);
    sums[0]![0] = 1;
    for (let i = n - 1; i < count; i++) {
      const counted = places[i]! >= level === countAbove ? 1 : 0;
      for (let group = Math.min(draws, Math.floor((i + 1) / n)); group >= 1; group--) {
        const weight = weights[group - 1]![i]!;
        const [sum, before] = [sums[group]!, sums[group - 1]!];
        for (let x = counted; x <= most; x++) sum[x]! += weight * before[x - counted]!;
      }
    }
    let atMost = 0;
    for (const part of sums[draws]!) atMost += part;
    return countAbove ? 1 - atMost : atMost;
  };
  return (places) => {
    const choice = new Float64Array(count);
    let above = 1;
    for (let level = 0; level < count; level++) {
      const next = level === count - 1 ? 0 : reaches(places, level + 1);
      choice[level] = above - next;
      above = next;
    }
    return choice;
  };
}

/**
 * l·C(i − (l−1)n, n−1)/C(M − (l−1)n, n) for i = 0 … M−1, the number of samples below: proportional to the number of ways to
 * fill the l-th group from below whose best is the i-th sample, and such that the products sum to 1 over all i_1 < … < i_N.
 */
function bestOfGroupWeights(groupsBelow: number, n: number, count: number): Float64Array {
  const weights = new Float64Array(count);
  const left = count - groupsBelow * n;
  let weight = ((groupsBelow + 1) * n) / left;
  for (let free = left - 1; free >= n - 1; free--) {
    weights[free + groupsBelow * n] = weight;
    weight *= (free - n + 1) / free;
  }
  return weights;
}

function remembered<Value>(compute: (count: number) => Value): (count: number) => Value {
  const known = new Map<number, Value>();
  return (count) => {
    const value = known.get(count) ?? compute(count);
    known.set(count, value);
    return value;
  };
}
