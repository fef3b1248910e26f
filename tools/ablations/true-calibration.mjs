import { calibrateReward, sortedReferences } from '@infalign/core';

/**
 * Calibrated rewards by many other rollouts of the prompt, as good as the true C, and how uncertain each still is.
 *
 * With w = 1, ½, 0 above, at and below one of them, C is the mean of w, and E[w²] = C − T/4 where T is the share of ties: so
 * the variance of a mean of L is estimated, without bias, by (C − T/4 − C²)/(L − 1).
 *
 * @param {readonly number[]} rewards of one prompt
 * @param {readonly number[]} many rewards of L ≥ 2 rollouts of the same policy to the same prompt, none of them among the others
 * @returns {{ value: number, variance: number }[]} in the order of the rewards
 */
export function trueCalibration(rewards, many) {
  const sorted = sortedReferences(many);
  return rewards.map((reward) => {
    const value = calibrateReward(reward, sorted);
    const ties = many.reduce((count, other) => count + (other === reward ? 1 : 0), 0) / many.length;
    return { value, variance: Math.max(0, value - ties / 4 - value * value) / (many.length - 1) };
  });
}

/**
 * The mean of (estimate − C)², without bias by what is not known of C.
 *
 * @param {readonly number[]} estimates that do not depend on the rollouts C is taken from
 * @param {readonly { value: number, variance: number }[]} truth of the same rollouts
 */
export function meanSquaredError(estimates, truth) {
  const squares = estimates.map((estimate, i) => (estimate - truth[i].value) ** 2 - truth[i].variance);
  return squares.reduce((sum, square) => sum + square, 0) / squares.length;
}
