import { meanOf } from './interval.mjs';

/** The mean of the products of two lists' deviations from their means. */
export function covariance(a, b) {
  const [meanA, meanB] = [meanOf(a), meanOf(b)];
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - meanA) * (b[i] - meanB);
  return sum / a.length;
}

/** Pearson's correlation. */
export function correlation(a, b) {
  return covariance(a, b) / Math.sqrt(covariance(a, a) * covariance(b, b));
}

/**
 * What groups of values are: the variance of their means, without what the means owe to the few values that they are of, and the
 * variance within them.
 *
 * @param {readonly { mean: number, variance: number }[]} groups at least two, each the mean and the unbiased variance of its values
 * @param {number} count values of each group
 */
export function varianceParts(groups, count) {
  const means = groups.map(({ mean }) => mean);
  const within = meanOf(groups.map(({ variance }) => variance));
  const between = (covariance(means, means) * groups.length) / (groups.length - 1) - within / count;
  return { between, within };
}

/** The share of the variance of values that their groups determine. */
export function determinedShare(groups, count) {
  const { between, within } = varianceParts(groups, count);
  return between / (between + within);
}

/**
 * The squared correlation of a prediction with the true means of groups: noise of the means that are known is taken out of their
 * variance, and changes nothing about the covariance.
 *
 * @param {readonly number[]} predictions one a group
 * @param {Parameters<typeof varianceParts>[0]} groups
 * @param {number} count values of each group
 */
export function explainedShare(predictions, groups, count) {
  const means = groups.map(({ mean }) => mean);
  const { between } = varianceParts(groups, count);
  return covariance(predictions, means) ** 2 / (covariance(predictions, predictions) * between);
}

/** The mean and the unbiased variance of at least two values. */
export function groupOf(values) {
  return { mean: meanOf(values), variance: (covariance(values, values) * values.length) / (values.length - 1) };
}

/**
 * What is left of values when the mean of those that come with a like level is taken off each.
 *
 * @param {ArrayLike<number>} values
 * @param {ArrayLike<number>} levels of the values, in [0, 1]
 * @param {number} bins of equal width that levels are sorted into
 */
export function withoutLevel(values, levels, bins) {
  const binOf = (level) => Math.min(bins - 1, Math.floor(level * bins));
  const [sums, counts] = [new Float64Array(bins), new Float64Array(bins)];
  for (let i = 0; i < values.length; i++) {
    sums[binOf(levels[i])] += values[i];
    counts[binOf(levels[i])]++;
  }
  return Float64Array.from(values, (value, i) => value - sums[binOf(levels[i])] / counts[binOf(levels[i])]);
}

/** A statistic of two lists, averaged over all pairs of at least two lists. */
export function meanOverPairs(lists, statistic) {
  const pairs = lists.flatMap((a, i) => lists.slice(i + 1).map((b) => statistic(a, b)));
  return meanOf(pairs);
}
