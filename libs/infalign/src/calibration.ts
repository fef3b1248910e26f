import { InputError } from './input-error.js';

/**
 * A prompt's reference rewards in the form that calibration needs: a sorted copy.
 *
 * @param rewards raw rewards of K ≥ 1 rollouts of the reference policy, in any order
 * @throws InputError if there is none, or one is not a finite number
 */
export function sortedReferences(rewards: ArrayLike<number>): Float64Array {
  if (rewards.length === 0) {
    throw new InputError('a prompt has no reference rewards: sample at least one reference rollout for every prompt');
  }
  const sorted = new Float64Array(rewards.length);
  for (let i = 0; i < rewards.length; i++) {
    const reward = rewards[i] as number;
    if (!Number.isFinite(reward)) {
      throw new InputError(
        `reference reward ${i + 1} of ${rewards.length} is ${reward}: rewards must be finite numbers`,
      );
    }
    sorted[i] = reward;
  }
  return sorted.sort();
}

/**
 * The empirical calibrated reward Ĉ = (1/K) Σ_i w(r, r_i), with w = 1 above a reference, ½ at a tie, 0 below
 * (InfAlign, arXiv 2412.19792, Eq. 12): the share of the reference policy's responses that this response beats.
 *
 * @param reward raw reward of a rollout that is not among the references
 * @param references what sortedReferences returned for the rollout's prompt
 * @returns a multiple of 1/(2K), from 0 to 1
 * @throws InputError if the reward is not finite or there are no references
 */
export function calibrateReward(reward: number, references: Float64Array): number {
  assertCalibratable(reward, references);
  return (countBelow(references, reward) + countAtOrBelow(references, reward)) / (2 * references.length);
}

/**
 * How many references have exactly this reward.
 *
 * @param references what sortedReferences returned
 */
export function countTies(reward: number, references: Float64Array): number {
  return countAtOrBelow(references, reward) - countBelow(references, reward);
}

/**
 * The empirical calibrated reward of a rollout that is itself one of the references: it is left out of its own
 * reference set. Counted in, its tie with itself would pull every value towards ½.
 *
 * @param reward raw reward of one of the references
 * @param references what sortedReferences returned for the prompt; K ≥ 2
 * @returns a multiple of 1/(2(K − 1)), from 0 to 1
 * @throws InputError if the reward is not finite or not among the references, or K < 2
 */
export function calibrateLeaveOneOut(reward: number, references: Float64Array): number {
  assertCalibratable(reward, references);
  if (references.length < 2) {
    throw new InputError('leave-one-out calibration needs at least two reference rollouts per prompt');
  }
  const below = countBelow(references, reward);
  const equal = countAtOrBelow(references, reward) - below;
  if (equal === 0) {
    throw new InputError(`reward ${reward} is not among the reference rewards: calibrate it with all of them`);
  }
  return (below + (equal - 1) / 2) / (references.length - 1);
}

/** How far calibrated rewards of the reference policy's own, fresh rollouts are from the uniform distribution. */
export interface CalibrationQuality {
  /** Kolmogorov–Smirnov distance: the largest |share of values at or below v − v| over v in [0, 1]; 0 to 1. */
  kolmogorovSmirnov: number;
  /** The mean of |share of values at or below v − v| over v in [0, 1]: the area between the calibration curve and the diagonal. */
  meanAbsoluteError: number;
  /** Number of calibrated rewards. */
  count: number;
}

/**
 * Measures calibration on rollouts that the references do not contain. Both distances are exact for any values, ties
 * included: an atom of mass p alone costs a Kolmogorov–Smirnov distance of at least p/2, so K references, whose calibrated
 * rewards lie on K + 1 values, do not go below about 1/(K + 1).
 *
 * @param calibratedRewards at least one value in [0, 1], in any order, over any number of prompts
 * @throws InputError if there is none, or one is outside [0, 1]
 */
export function calibrationQuality(calibratedRewards: ArrayLike<number>): CalibrationQuality {
  const sorted = sortedLevels(calibratedRewards);
  const count = sorted.length;
  let kolmogorovSmirnov = 0;
  let area = 0;
  let from = 0;
  // Between neighbouring values the share stands still while v grows: both distances follow from the two ends.
  for (let i = 0; i <= count; i++) {
    const to = i < count ? (sorted[i] as number) : 1;
    const share = i / count;
    kolmogorovSmirnov = Math.max(kolmogorovSmirnov, Math.abs(share - to), Math.abs(share - from));
    area += areaFromDiagonal(share, from, to);
    from = to;
  }
  return { kolmogorovSmirnov, meanAbsoluteError: area, count };
}

/** The calibration curve: perfect calibration is the diagonal. */
export interface CalibrationCurve {
  /** Quantile levels, evenly spaced from 0 to 1. */
  nominal: Float64Array;
  /** The share of calibrated rewards below each level; those equal to it count half. */
  empirical: Float64Array;
}

/**
 * The share of calibrated rewards below each quantile level, for a plot.
 *
 * @param calibratedRewards at least one value in [0, 1], in any order
 * @param intervals the curve has intervals + 1 points; at least 1
 * @throws InputError if there is no value, or one is outside [0, 1]
 */
export function calibrationCurve(calibratedRewards: ArrayLike<number>, intervals = 50): CalibrationCurve {
  const sorted = sortedLevels(calibratedRewards);
  const nominal = Float64Array.from({ length: intervals + 1 }, (_, i) => i / intervals);
  const empirical = nominal.map(
    (level) => (countBelow(sorted, level) + countAtOrBelow(sorted, level)) / (2 * sorted.length),
  );
  return { nominal, empirical };
}

function assertCalibratable(reward: number, references: Float64Array): void {
  if (!Number.isFinite(reward)) throw new InputError(`the reward is ${reward}: rewards must be finite numbers`);
  if (references.length === 0) throw new InputError('the prompt has no reference rewards to calibrate against');
}

function sortedLevels(calibratedRewards: ArrayLike<number>): Float64Array {
  if (calibratedRewards.length === 0) throw new InputError('there are no calibrated rewards to measure calibration on');
  const sorted = Float64Array.from(calibratedRewards).sort();
  for (const end of [sorted[0] as number, sorted[sorted.length - 1] as number]) {
    if (!(end >= 0 && end <= 1)) throw new InputError(`a calibrated reward is ${end}: it must be from 0 to 1`);
  }
  return sorted;
}

/** ∫ |share − v| dv from `from` to `to`. */
function areaFromDiagonal(share: number, from: number, to: number): number {
  const left = share - from;
  const right = share - to;
  return left * right >= 0 ? (Math.abs(left + right) / 2) * (to - from) : (left * left + right * right) / 2;
}

function countBelow(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) < value) low = middle + 1;
    else high = middle;
  }
  return low;
}

function countAtOrBelow(sorted: Float64Array, value: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((sorted[middle] as number) <= value) low = middle + 1;
    else high = middle;
  }
  return low;
}
