import { bootstrapMean, seededRandom } from '@infalign/core';

/**
 * A mean over prompts with its 95 % interval.
 *
 * @param {ArrayLike<number>} byPrompt one number a prompt
 * @param {string} seed what the interval is of
 */
export function meanOver(byPrompt, seed) {
  const { mean, low, high } = bootstrapMean(byPrompt, { seed: `ablations/${seed}` });
  return { mean, low, high };
}

/**
 * The root of a mean of squares over prompts with its 95 % interval. Estimates of squares can be below 0: the root is 0 then.
 *
 * @param {ArrayLike<number>} squaresByPrompt
 * @param {string} seed
 */
export function rootMeanSquare(squaresByPrompt, seed) {
  const { mean, low, high } = meanOver(squaresByPrompt, seed);
  const root = (square) => Math.sqrt(Math.max(0, square));
  return { mean: root(mean), low: root(low), high: root(high) };
}

/** How often prompts are drawn for an interval of a statistic. */
const resamples = 1000;

/**
 * A statistic of what was measured, with its 95 % interval by the bootstrap over prompts: prompts are drawn with replacement, as often
 * as there are prompts, and the statistic taken anew.
 *
 * @template T
 * @param {readonly T[]} byPrompt
 * @param {(byPrompt: readonly T[]) => number} statistic
 * @param {string} seed what the interval is of
 */
export function statisticOver(byPrompt, statistic, seed) {
  const random = seededRandom('ablations', seed);
  const drawn = Float64Array.from({ length: resamples }, () =>
    statistic(byPrompt.map(() => byPrompt[random.integer(byPrompt.length)])),
  ).sort();
  const outside = Math.floor(0.025 * resamples);
  return { mean: statistic(byPrompt), low: drawn[outside], high: drawn[resamples - 1 - outside] };
}

/** @param {ArrayLike<number>} values at least one */
export function meanOf(values) {
  return sumOf(values) / values.length;
}

/** @param {ArrayLike<number>} values */
export function sumOf(values) {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i];
  return sum;
}
