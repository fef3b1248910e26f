import { InputError, type RandomSource } from '@infalign/core';
import type { SamplingSettings } from './language-model.js';

/**
 * Tokens are drawn in two stages, by inversion of a distribution function each: first a block of tokens that follow one another, then one of its
 * tokens. Each stage adds up few numbers, which is fast and leaves little to rounding. Blocks have the largest size up to the
 * square root of the vocabulary's that divides it.
 */
export function blockSize(vocabulary: number): number {
  let size = Math.floor(Math.sqrt(vocabulary));
  while (vocabulary % size !== 0) size--;
  return size;
}

/** Whether tokens are drawn from other probabilities than the model's. */
export function changesProbabilities(settings: SamplingSettings, vocabulary: number): boolean {
  return settings.logitBias !== undefined || truncates(settings, vocabulary);
}

/** Whether top-k or top-p leave a token out. */
function truncates({ topK, topP }: SamplingSettings, vocabulary: number): boolean {
  return (topK > 0 && topK < vocabulary) || topP < 1;
}

/** What a token cannot be drawn from. @param total what probabilities add up to */
export function undrawable(total: number): InputError {
  return new InputError(
    `No token can be drawn: probabilities add up to ${total}. Look for weights that are not finite, a temperature that is too low, ` +
      'or a logit bias that excludes every token.',
  );
}

/** @throws InputError if tokens cannot be drawn with these settings */
export function checkSampling({ temperature }: SamplingSettings): void {
  if (!(temperature > 0)) throw new InputError(`The temperature of sampling is ${temperature}, but has to be above 0.`);
}

/**
 * Draws a token from one row of next-token probabilities, by two numbers of `random`.
 *
 * @param probabilities all rows, row-major; each row sums to 1 within rounding
 * @param start where the row begins
 * @param vocabulary its length
 * @throws InputError if the row is not finite, the bias leaves no token, or it favours one whose probability is not known
 */
export function drawToken(
  probabilities: Float32Array,
  start: number,
  vocabulary: number,
  settings: SamplingSettings,
  random: RandomSource,
): number {
  let row = probabilities.subarray(start, start + vocabulary);
  if (changesProbabilities(settings, vocabulary)) {
    const { logitBias, topK, topP } = settings;
    row = row.slice();
    if (logitBias) tilt(row, logitBias);
    if (truncates(settings, vocabulary)) truncate(row, topK, topP);
  }
  const size = blockSize(vocabulary);
  const sums = new Float64Array(vocabulary / size);
  for (let token = 0; token < vocabulary; token++) sums[Math.floor(token / size)]! += row[token]!;
  const total = sums.reduce((all, sum) => all + sum, 0);
  if (!(total > 0 && total < Infinity)) throw undrawable(total);
  const block = firstAbove(sums, random.uniform() * total);
  const within = firstAbove(row.subarray(block * size, (block + 1) * size), random.uniform() * sums[block]!);
  return block * size + within;
}

/** The first place up to which weights add up to more than a threshold. @param threshold below their sum */
function firstAbove(weights: Float32Array | Float64Array, threshold: number): number {
  let sum = 0;
  let last = 0;
  for (let place = 0; place < weights.length; place++) {
    if (weights[place]! > 0) {
      sum += weights[place]!;
      last = place;
      if (sum > threshold) return place;
    }
  }
  // Only rounding of the sum leads here: the last that can be drawn at all.
  return last;
}

/** Probabilities below this, the smallest normal number of 32 bits, are computed as 0. */
const smallestProbability = 2 ** -126;
/** What does not change a sum of 32-bit numbers, as a part of their largest. */
const negligible = 2 ** -24;

/** Makes probabilities those of logits to which a bias is added. */
function tilt(row: Float32Array, logitBias: ArrayLike<number>): void {
  const logs = row.map((probability, token) => Math.log(probability) + logitBias[token]!);
  const largest = logs.reduce((most, value) => Math.max(most, value), -Infinity);
  // What the bias makes of a probability that is too small to be known, at most.
  const most = (token: number): number => Math.log(smallestProbability) + logitBias[token]!;
  const unknown = row.findIndex(
    (probability, token) => probability === 0 && most(token) > largest + Math.log(negligible),
  );
  if (unknown >= 0) {
    throw new InputError(
      `The logit bias favours token ${unknown}, whose probability is too small to be known: make the bias smaller, or the temperature ` +
        'higher.',
    );
  }
  let total = 0;
  for (let token = 0; token < row.length; token++) total += row[token] = Math.exp(logs[token]! - largest);
  for (let token = 0; token < row.length; token++) row[token]! /= total;
}

/** Zeroes all but the k most probable tokens, and of them all but the fewest that together reach p. */
function truncate(row: Float32Array, topK: number, topP: number): void {
  const order = Array.from(row.keys()).sort((a, b) => row[b]! - row[a]! || a - b);
  const most = topK > 0 ? topK : row.length;
  let sum = 0;
  order.forEach((token, rank) => {
    if (rank >= most || (rank > 0 && sum >= topP)) row[token] = 0;
    else sum += row[token]!;
  });
}
