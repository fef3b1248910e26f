import { kolmogorovSmirnovDistance, kolmogorovSmirnovPValue } from '@infalign/core';
import type { CalibrationDrift } from '@infalign/contracts';

/**
 * The two-sample Kolmogorov–Smirnov test of whether two samples come from one distribution.
 *
 * @param before at least one finite number, in any order
 * @param since likewise
 * @param falseAlarmRate the probability of a drift where there is none; with ties, an upper bound of it
 * @returns the drift, if there is one
 */
export function driftBetween(
  before: ArrayLike<number>,
  since: ArrayLike<number>,
  falseAlarmRate: number,
): CalibrationDrift | undefined {
  const distance = kolmogorovSmirnovDistance(before, since);
  const pValue = kolmogorovSmirnovPValue(distance, before.length, since.length);
  return pValue <= falseAlarmRate ? { distance, pValue, before: before.length, since: since.length } : undefined;
}
