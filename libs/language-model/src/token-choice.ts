import { InputError, type RandomSource } from '@infalign/core';
import type { SamplingSettings } from './language-model.js';

/** @throws InputError if tokens cannot be drawn with these settings */
export function checkSampling({ temperature }: SamplingSettings): void {
  if (!(temperature > 0)) throw new InputError(`The temperature of sampling is ${temperature}, but has to be above 0.`);
}

/**
 * Draws a token from one row of next-token probabilities, by inversion of their distribution function.
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
  { logitBias, topK, topP }: SamplingSettings,
  random: RandomSource,
): number {
  const truncated = (topK > 0 && topK < vocabulary) || topP < 1;
  const changed = truncated || logitBias !== undefined;
  const row = changed ? probabilities.slice(start, start + vocabulary) : probabilities;
  if (logitBias) tilt(row, logitBias);
  if (truncated) truncate(row, topK, topP);
  const first = changed ? 0 : start;
  let total = 0;
  for (let token = 0; token < vocabulary; token++) total += row[first + token]!;
  if (!(total > 0 && total < Infinity)) {
    throw new InputError(
      `No token can be drawn: probabilities add up to ${total}. Look for weights that are not finite, a temperature that is too low, ` +
        'or a logit bias that excludes every token.',
    );
  }
  const threshold = random.uniform() * total;
  let sum = 0;
  let last = 0;
  for (let token = 0; token < vocabulary; token++) {
    const probability = row[first + token]!;
    if (probability > 0) {
      sum += probability;
      last = token;
      if (sum > threshold) return token;
    }
  }
  // Only rounding of the sum leads here: the last token that can be drawn at all.
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
