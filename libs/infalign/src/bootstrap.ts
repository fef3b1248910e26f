import { InputError } from './input-error.js';
import { seededWords } from './random.js';

/** A mean with its bootstrap interval. */
export interface BootstrapInterval {
  mean: number;
  /** Ends of the percentile interval. Of a single value, or of equal values, there is nothing to resample: both are the mean. */
  low: number;
  high: number;
  /** Standard deviation of the resampled means. */
  standardError: number;
  /** Number of values (prompts): read an interval from very few of them with care. */
  count: number;
}

export interface BootstrapOptions {
  /** The interval is a function of the values and this. */
  seed: string | number;
  /** Default 1000. */
  resamples?: number;
  /** Probability that the interval is meant to cover; default 0.95. */
  confidence?: number;
}

/**
 * The mean of one number per prompt, with the percentile bootstrap interval over prompts (Efron 1979): prompts are drawn
 * with replacement, as often as there are prompts, `resamples` times.
 *
 * @param values at least one finite number
 * @throws InputError if there is none or one is not finite, or an option is out of range
 */
export function bootstrapMean(values: ArrayLike<number>, options: BootstrapOptions): BootstrapInterval {
  const { seed, resamples = 1000, confidence = 0.95 } = options;
  if (!(Number.isInteger(resamples) && resamples >= 1)) {
    throw new InputError(`the number of bootstrap resamples must be a whole number of at least 1, not ${resamples}`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new InputError(`the confidence of an interval must be between 0 and 1, not ${confidence}`);
  }
  const count = values.length;
  const mean = meanOf(values);
  // Resampling deviations keeps equal values exact: their resampled means do not wander by rounding.
  // A loop: `from` with a function makes a list of boxed numbers first, several times the size of the array.
  const deviations = new Float64Array(count);
  for (let i = 0; i < count; i++) deviations[i] = (values[i] as number) - mean;
  const nextWord = seededWords('bootstrap', seed, count);
  const perWord = count / 2 ** 32;
  const resampled = new Float64Array(resamples);
  for (let resample = 0; resample < resamples; resample++) {
    let sum = 0;
    // Scaling a 32-bit word favours some prompts by at most count/2³², far below what resampling can show.
    for (let draw = 0; draw < count; draw++) sum += deviations[(nextWord() * perWord) >>> 0] as number;
    resampled[resample] = sum / count;
  }
  resampled.sort();
  const center = meanOf(resampled);
  let squares = 0;
  for (const value of resampled) squares += (value - center) ** 2;
  return {
    mean,
    low: mean + quantile(resampled, (1 - confidence) / 2),
    high: mean + quantile(resampled, (1 + confidence) / 2),
    standardError: Math.sqrt(squares / Math.max(1, resamples - 1)),
    count,
  };
}

/**
 * The mean of first − second with its interval, for two measurements on the *same* prompts: what the prompts have in common
 * cancels.
 *
 * @param first one number per prompt
 * @param second the same prompts, in the same order
 * @throws InputError as bootstrapMean, and if the lengths differ
 */
export function bootstrapMeanDifference(
  first: ArrayLike<number>,
  second: ArrayLike<number>,
  options: BootstrapOptions,
): BootstrapInterval {
  if (first.length !== second.length) {
    throw new InputError(
      `a paired difference needs the same prompts on both sides, not ${first.length} and ${second.length} of them`,
    );
  }
  return bootstrapMean(
    Float64Array.from(first, (value, i) => value - (second[i] as number)),
    options,
  );
}

/** Measured from the first value, so that equal values have exactly themselves as their mean. */
function meanOf(values: ArrayLike<number>): number {
  if (values.length === 0) throw new InputError('there are no values to take a mean of');
  const first = values[0] as number;
  let sum = 0;
  for (let i = 0; i < values.length; i++) {
    const value = values[i] as number;
    if (!Number.isFinite(value))
      throw new InputError(`value ${i + 1} of ${values.length} is ${value}: it must be finite`);
    sum += value - first;
  }
  return first + sum / values.length;
}

/** Linear interpolation between order statistics. */
function quantile(sorted: Float64Array, level: number): number {
  const position = level * (sorted.length - 1);
  const below = Math.floor(position);
  const low = sorted[below] as number;
  const high = sorted[Math.min(below + 1, sorted.length - 1)] as number;
  return low + (high - low) * (position - below);
}
