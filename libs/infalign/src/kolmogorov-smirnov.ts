import { InputError } from './input-error.js';

/**
 * The two-sample Kolmogorov–Smirnov distance: the largest |share of a at or below v − share of b at or below v| over all v.
 *
 * @param a at least one finite number, in any order
 * @param b likewise
 * @returns from 0 to 1, a multiple of 1/(n·m) with n and m the numbers of values
 * @throws InputError if there is none on a side, or one is not finite
 */
export function kolmogorovSmirnovDistance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  const first = sortedSample(a);
  const second = sortedSample(b);
  const n = first.length;
  const m = second.length;
  let i = 0;
  let j = 0;
  // In whole numbers, |i·m − j·n|, so that equal distances are equal.
  let largest = 0;
  while (i < n && j < m) {
    const value = Math.min(first[i] as number, second[j] as number);
    // All that equals it, on both sides, before the shares are compared: between tied values there is nothing to see.
    while (i < n && first[i] === value) i++;
    while (j < m && second[j] === value) j++;
    largest = Math.max(largest, Math.abs(i * m - j * n));
  }
  return largest / (n * m);
}

/** Up to this product of the sample sizes, which takes some milliseconds, the probability is counted. */
const LARGEST_COUNTED = 1_000_000;

/**
 * The probability that two samples of the same continuous distribution are at least this far apart. With ties it is an
 * upper bound of the probability, whatever the distribution: a test that alarms where it is at most α has at most α false
 * alarms.
 *
 * Up to n·m = 10⁶ it is exact: every order in which the values of the two samples can stand is equally probable, and those
 * whose lattice path touches the distance are counted. Above, it is Kolmogorov's asymptotic form. With at least 500 values
 * on each side that is too large by up to a tenth, for probabilities down to 0.001, and too small by no more than 0.05 %; it
 * is larger yet where one sample is small: the error is on the side of fewer false alarms.
 *
 * @param distance what kolmogorovSmirnovDistance returned; from 0 to 1
 * @param n values in the one sample, at least 1
 * @param m values in the other, at least 1
 * @returns from 0 to 1
 * @throws InputError if an argument is out of range
 */
export function kolmogorovSmirnovPValue(distance: number, n: number, m: number): number {
  if (!(distance >= 0 && distance <= 1)) {
    throw new InputError(`a Kolmogorov–Smirnov distance is ${distance}: it must be from 0 to 1`);
  }
  for (const size of [n, m]) {
    if (!(Number.isSafeInteger(size) && size >= 1)) {
      throw new InputError(`a sample size is ${size}: it must be a whole number of at least 1`);
    }
  }
  return n * m <= LARGEST_COUNTED ? counted(distance, n, m) : asymptotic(distance, n, m);
}

/**
 * A path steps from (0, 0) to (n, m), one to the right for each value of the one sample and one up for each of the other.
 * touched[j] is the probability that a path to (i, j), all being equally probable, has come as far from the diagonal as
 * the distance: its last step came from the left with probability i/(i + j).
 */
function counted(distance: number, n: number, m: number): number {
  // Distances are multiples of 1/(n·m), rounded: the tolerance is far above the rounding, and far below one of them.
  const limit = Math.ceil(distance * n * m - 1e-3);
  const touched = new Float64Array(m + 1);
  for (let i = 0; i <= n; i++) {
    for (let j = 0; j <= m; j++) {
      if (Math.abs(i * m - j * n) >= limit) touched[j] = 1;
      else {
        const fromLeft = i === 0 ? 0 : (touched[j] as number) * i;
        const fromBelow = j === 0 ? 0 : (touched[j - 1] as number) * j;
        touched[j] = (fromLeft + fromBelow) / Math.max(1, i + j);
      }
    }
  }
  return touched[m] as number;
}

/** 2·Σ (−1)^(k−1)·e^(−2k²λ²) with λ² = d²·n·m/(n + m). */
function asymptotic(distance: number, n: number, m: number): number {
  const squared = distance * distance * ((n / (n + m)) * m);
  // The series converges slowly for small λ, where the probability is 1 to within 1e-12.
  if (squared < 0.04) return 1;
  let sum = 0;
  for (let k = 1; k <= 20; k++) sum += (k % 2 === 1 ? 2 : -2) * Math.exp(-2 * k * k * squared);
  return Math.min(1, Math.max(0, sum));
}

function sortedSample(values: ArrayLike<number>): Float64Array {
  if (values.length === 0)
    throw new InputError('a sample is empty: a Kolmogorov–Smirnov distance needs a value on each side');
  const sorted = Float64Array.from(values).sort();
  // Sorting puts −∞ first and +∞ and NaN last: the ends tell of all.
  for (const end of [sorted[0] as number, sorted[sorted.length - 1] as number]) {
    if (!Number.isFinite(end)) throw new InputError(`a value of a sample is ${end}: it must be finite`);
  }
  return sorted;
}
