import type { RandomSource } from '@infalign/core';
import type { SamplingSettings } from './language-model.js';

/**
 * Draws a token from one row of next-token probabilities, by inversion of their distribution function.
 *
 * @param probabilities all rows, row-major; each row sums to 1 within rounding
 * @param start where the row begins
 * @param vocabulary its length
 */
export function drawToken(
  probabilities: Float32Array,
  start: number,
  vocabulary: number,
  { topK, topP }: SamplingSettings,
  random: RandomSource,
): number {
  const truncated = (topK > 0 && topK < vocabulary) || topP < 1;
  const row = truncated ? truncate(probabilities.slice(start, start + vocabulary), topK, topP) : probabilities;
  const first = truncated ? 0 : start;
  let total = 0;
  for (let token = 0; token < vocabulary; token++) total += row[first + token]!;
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

/** Zeroes all but the k most probable tokens, and of them all but the fewest that together reach p. */
function truncate(row: Float32Array, topK: number, topP: number): Float32Array {
  const order = Array.from(row.keys()).sort((a, b) => row[b]! - row[a]! || a - b);
  const most = topK > 0 ? topK : row.length;
  let sum = 0;
  order.forEach((token, rank) => {
    if (rank >= most || (rank > 0 && sum >= topP)) row[token] = 0;
    else sum += row[token]!;
  });
  return row;
}
