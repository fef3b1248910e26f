import { meanOf } from './interval.mjs';

/** Sweeps over all tokens: more change the weights of tens of thousands of rollouts by less than a hundredth of a standard deviation. */
const sweeps = 20;

/**
 * Ridge regression of rewards on how often each token stands in a response, by coordinate descent:
 * the w that minimises Σ_i (y_i − Σ_{t ∈ i} w_t)² + λ·Σ_v w_v².
 *
 * @param {readonly { responses: readonly ArrayLike<number>[], rewards: readonly number[] }[]} prompts y is a reward without the mean
 *   of its prompt
 * @param {{ vocabulary: number, ridge: number }} settings λ, at least 0
 * @returns {{ weights: Float64Array, deviation: number }} weights by token, in the unit of rewards; and the standard deviation of y
 */
export function fitAdditiveReward(prompts, { vocabulary, ridge }) {
  const residual = Float64Array.from(prompts.flatMap(({ rewards }) => withoutMean(rewards)));
  const deviation = Math.sqrt(meanOf(residual.map((value) => value * value)));
  /** By token: the responses that it stands in, and how often. */
  const occurrences = Array.from({ length: vocabulary }, () => new Map());
  prompts
    .flatMap(({ responses }) => responses)
    .forEach((response, index) => {
      for (const token of Array.from(response)) {
        occurrences[token].set(index, (occurrences[token].get(index) ?? 0) + 1);
      }
    });
  const weights = new Float64Array(vocabulary);
  for (let sweep = 0; sweep < sweeps; sweep++) {
    occurrences.forEach((responses, token) => {
      if (responses.size === 0) return;
      let [explained, squares] = [0, ridge];
      for (const [index, count] of responses) {
        explained += count * (residual[index] + count * weights[token]);
        squares += count * count;
      }
      const change = explained / squares - weights[token];
      weights[token] += change;
      for (const [index, count] of responses) residual[index] -= count * change;
    });
  }
  return { weights, deviation };
}

/**
 * The squares of a prompt's rewards about their mean, and what weights of tokens miss of them: R² is 1 − missed/all, each summed over
 * prompts.
 *
 * @param {{ responses: readonly ArrayLike<number>[], rewards: readonly number[] }} prompt
 * @param {ArrayLike<number>} weights by token
 */
export function missedByTokens({ responses, rewards }, weights) {
  const predicted = sumsOfTokens(responses, weights);
  let [missed, all] = [0, 0];
  withoutMean(rewards).forEach((reward, index) => {
    missed += (reward - predicted[index]) ** 2;
    all += reward * reward;
  });
  return { missed, all };
}

/**
 * KL(π·e^b/Z ‖ π) in nats, of next-token distributions to whose logits a bias is added: Σ_v q(v)·b(v) − log Z.
 *
 * @param {ArrayLike<number>} logDistributions log π of distributions one after another
 * @param {ArrayLike<number>} bias b, as long as one distribution
 * @returns {number} the sum over the distributions
 */
export function biasKl(logDistributions, bias) {
  const tilts = Float64Array.from(bias, Math.exp);
  let sum = 0;
  for (let start = 0; start < logDistributions.length; start += bias.length) {
    let [total, gained] = [0, 0];
    for (let token = 0; token < bias.length; token++) {
      const weight = Math.exp(logDistributions[start + token]) * tilts[token];
      total += weight;
      gained += weight * bias[token];
    }
    sum += gained / total - Math.log(total);
  }
  return sum;
}

/**
 * The sum of the weights of each response's tokens, without the mean over the responses.
 *
 * @param {readonly ArrayLike<number>[]} responses of one prompt
 * @param {ArrayLike<number>} weights by token
 */
export function sumsOfTokens(responses, weights) {
  return withoutMean(responses.map((response) => Array.from(response).reduce((sum, token) => sum + weights[token], 0)));
}

/** @param {readonly number[]} values at least one */
export function withoutMean(values) {
  const mean = meanOf(values);
  return values.map((value) => value - mean);
}
