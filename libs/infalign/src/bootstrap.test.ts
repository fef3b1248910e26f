import { describe, expect, it } from 'vitest';
import { bootstrapMean, bootstrapMeanDifference } from './bootstrap.js';
import { seededRandom } from './random.js';

describe('bootstrapMean', () => {
  it('covers the true mean as often as its confidence says', () => {
    const random = seededRandom('coverage');
    const trials = 600;
    for (const confidence of [0.8, 0.95]) {
      let covered = 0;
      for (let trial = 0; trial < trials; trial++) {
        // Skewed on purpose: exponential, with mean 1.
        const values = Float64Array.from({ length: 100 }, () => -Math.log(1 - random.uniform()));
        const { low, high } = bootstrapMean(values, { seed: trial, resamples: 400, confidence });
        if (low <= 1 && 1 <= high) covered++;
      }
      // Three standard deviations of the count, and the percentile interval's known shortfall of about 1.5 points.
      expect(Math.abs(covered / trials - (confidence - 0.012))).toBeLessThan(3 * Math.sqrt((0.2 * 0.8) / trials));
    }
  });

  it('has the standard error of the mean, and an interval of the normal width', () => {
    const random = seededRandom('width');
    const values = Float64Array.from({ length: 4000 }, () => random.normal());
    const mean = values.reduce((sum, v) => sum + v, 0) / 4000;
    const standardError = Math.sqrt(values.reduce((sum, v) => sum + (v - mean) ** 2, 0) / 4000 / 4000);
    const interval = bootstrapMean(values, { seed: 'width', resamples: 4000 });
    expect(interval.mean).toBeCloseTo(mean, 14);
    expect(interval.standardError / standardError).toBeGreaterThan(0.95);
    expect(interval.standardError / standardError).toBeLessThan(1.05);
    expect((interval.high - interval.low) / (2 * 1.96 * standardError)).toBeGreaterThan(0.92);
    expect((interval.high - interval.low) / (2 * 1.96 * standardError)).toBeLessThan(1.08);
    expect(interval.count).toBe(4000);
  });

  it('finds the exact percentiles where they are known: two values resample to three means', () => {
    const interval = bootstrapMean([0, 1], { seed: 3, resamples: 2000, confidence: 0.4 });
    expect(interval).toMatchObject({ mean: 0.5, low: 0.5, high: 0.5 }); // P(0) = ¼, P(½) = ½, P(1) = ¼
    const wide = bootstrapMean([0, 1], { seed: 3, resamples: 2000, confidence: 0.6 });
    expect(wide).toMatchObject({ low: 0, high: 1 });
  });

  it('gives the same numbers for the same seed and others for another', () => {
    const values = [0.2, 0.9, 0.4, 0.3, 0.8, 0.1, 0.55];
    expect(bootstrapMean(values, { seed: 7 })).toEqual(bootstrapMean(values, { seed: 7 }));
    expect(bootstrapMean(values, { seed: 7 }).standardError).not.toBe(bootstrapMean(values, { seed: 8 }).standardError);
  });

  it('is exact for one value and for equal values', () => {
    expect(bootstrapMean([0.7], { seed: 1 })).toEqual({ mean: 0.7, low: 0.7, high: 0.7, standardError: 0, count: 1 });
    const constant = bootstrapMean(new Array<number>(11).fill(0.1), { seed: 1 });
    expect(constant).toEqual({ mean: 0.1, low: 0.1, high: 0.1, standardError: 0, count: 11 });
  });

  it('refuses nothing, numbers that are not finite, and settings out of range', () => {
    expect(() => bootstrapMean([], { seed: 1 })).toThrow(/no values/);
    expect(() => bootstrapMean([1, NaN], { seed: 1 })).toThrow(/value 2 of 2 is NaN/);
    expect(() => bootstrapMean([1], { seed: 1, resamples: 0 })).toThrow(/resamples/);
    expect(() => bootstrapMean([1], { seed: 1, confidence: 1 })).toThrow(/confidence/);
  });
});

describe('bootstrapMeanDifference', () => {
  it('cancels what the prompts have in common', () => {
    const random = seededRandom('paired');
    const difficulty = Float64Array.from({ length: 500 }, () => 10 * random.normal());
    const first = difficulty.map((d) => d + 0.3 + 0.1 * random.normal());
    const interval = bootstrapMeanDifference(first, difficulty, { seed: 5 });
    expect(interval.low).toBeLessThan(0.3);
    expect(interval.high).toBeGreaterThan(0.3);
    expect(interval.high - interval.low).toBeLessThan(0.03);
    expect(interval.mean).toBeGreaterThan(0.27);
  });

  it('refuses sides of different length', () => {
    expect(() => bootstrapMeanDifference([1, 2], [1], { seed: 1 })).toThrow(/same prompts/);
  });
});
