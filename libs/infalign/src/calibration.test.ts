import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  calibrateLeaveOneOut,
  calibrateReward,
  calibrationCurve,
  calibrationQuality,
  sortedReferences,
} from './calibration.js';
import { InputError } from './input-error.js';
import { seededRandom } from './random.js';

const tied = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 2, maxLength: 12 });
const w = (a: number, b: number) => (a > b ? 1 : a === b ? 0.5 : 0);

describe('calibrateReward', () => {
  it('is the mean of w(reward, reference), ties counted half', () => {
    expect(calibrateReward(2, sortedReferences([3, 1, 2, 2]))).toBe(0.5);
    expect(calibrateReward(2.5, sortedReferences([3, 1, 2, 2]))).toBe(0.75);
    fc.assert(
      fc.property(fc.integer({ min: -4, max: 4 }), tied, (reward, references) => {
        const mean = references.reduce((sum, z) => sum + w(reward, z), 0) / references.length;
        expect(calibrateReward(reward, sortedReferences(references))).toBeCloseTo(mean, 14);
      }),
      { seed: 1 },
    );
  });

  it('does not change with any strictly increasing change of the rewards', () => {
    fc.assert(
      fc.property(fc.integer({ min: -4, max: 4 }), tied, (reward, references) => {
        const change = (r: number) => 5 * Math.exp(r) - 100;
        expect(calibrateReward(change(reward), sortedReferences(references.map(change)))).toBe(
          calibrateReward(reward, sortedReferences(references)),
        );
      }),
      { seed: 2 },
    );
  });

  it('treats zero and minus zero as a tie', () => {
    expect(calibrateReward(0, sortedReferences([-0, -0]))).toBe(0.5);
    expect(calibrateReward(-0, sortedReferences([0, -1]))).toBe(0.75);
  });

  it('refuses rewards that are not finite and prompts without references', () => {
    expect(() => calibrateReward(NaN, sortedReferences([1]))).toThrow(InputError);
    expect(() => calibrateReward(Infinity, sortedReferences([1]))).toThrow(/finite/);
    expect(() => calibrateReward(1, new Float64Array(0))).toThrow(/no reference/);
    expect(() => sortedReferences([])).toThrow(/at least one reference/);
    expect(() => sortedReferences([1, NaN])).toThrow(/reward 2 of 2 is NaN/);
    expect(() => sortedReferences([-Infinity])).toThrow(/finite/);
  });
});

describe('calibrateLeaveOneOut', () => {
  it('equals calibration against the other references', () => {
    fc.assert(
      fc.property(tied, (references) => {
        const sorted = sortedReferences(references);
        references.forEach((reward, i) => {
          const others = sortedReferences(references.filter((_, j) => j !== i));
          expect(calibrateLeaveOneOut(reward, sorted)).toBeCloseTo(calibrateReward(reward, others), 14);
        });
      }),
      { seed: 3 },
    );
  });

  it('has mean one half over the references, so no bias', () => {
    const references = [0.3, 0.7, 0.1, 0.7, 2, -1];
    const sorted = sortedReferences(references);
    const mean = references.reduce((sum, r) => sum + calibrateLeaveOneOut(r, sorted), 0) / references.length;
    expect(mean).toBeCloseTo(0.5, 14);
  });

  it('refuses a stranger and a lonely reference', () => {
    expect(() => calibrateLeaveOneOut(5, sortedReferences([1, 2]))).toThrow(/not among/);
    expect(() => calibrateLeaveOneOut(1, sortedReferences([1]))).toThrow(/at least two/);
  });
});

describe('calibrationQuality', () => {
  it('has the known distances of small examples', () => {
    expect(calibrationQuality([0.5])).toEqual({ kolmogorovSmirnov: 0.5, meanAbsoluteError: 0.25, count: 1 });
    // The values 0 and 1: F = ½ in between.
    expect(calibrationQuality([0, 1])).toEqual({ kolmogorovSmirnov: 0.5, meanAbsoluteError: 0.25, count: 2 });
    expect(calibrationQuality([1, 1, 1])).toEqual({ kolmogorovSmirnov: 1, meanAbsoluteError: 0.5, count: 3 });
    const centers = Array.from({ length: 10 }, (_, i) => (i + 0.5) / 10);
    expect(calibrationQuality(centers).kolmogorovSmirnov).toBeCloseTo(0.05, 14);
    expect(calibrationQuality(centers).meanAbsoluteError).toBeCloseTo(0.025, 14);
  });

  it('agrees with the definition on a fine grid, ties included', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 8 }), { minLength: 1, maxLength: 20 }), (eighths) => {
        const values = eighths.map((e) => e / 8);
        let largest = 0;
        let area = 0;
        const cells = 8000;
        for (let i = 0; i < cells; i++) {
          const v = (i + 0.5) / cells;
          const difference = Math.abs(values.filter((x) => x <= v).length / values.length - v);
          largest = Math.max(largest, difference);
          area += difference / cells;
        }
        const quality = calibrationQuality(values);
        expect(Math.abs(quality.kolmogorovSmirnov - largest)).toBeLessThan(2e-4);
        expect(Math.abs(quality.meanAbsoluteError - area)).toBeLessThan(2e-4);
      }),
      { seed: 4, numRuns: 40 },
    );
  });

  it('shows calibration improving with K, down to its floor near 1/(K + 1)', () => {
    const random = seededRandom('calibration');
    const distance = (references: number) => {
      const values: number[] = [];
      for (let prompt = 0; prompt < 400; prompt++) {
        const sorted = sortedReferences(Float64Array.from({ length: references }, () => random.normal()));
        for (let i = 0; i < 50; i++) values.push(calibrateReward(random.normal(), sorted));
      }
      return calibrationQuality(values).kolmogorovSmirnov;
    };
    const [few, some, many] = [distance(4), distance(20), distance(100)];
    expect(few).toBeGreaterThan(1 / 5 - 0.03);
    expect(some).toBeLessThan(few / 2);
    expect(many).toBeLessThan(0.03);
  });

  it('refuses values outside [0, 1]', () => {
    expect(() => calibrationQuality([])).toThrow(/no calibrated/);
    for (const bad of [-0.1, 1.1, NaN]) expect(() => calibrationQuality([0.5, bad])).toThrow(/from 0 to 1/);
  });
});

describe('calibrationCurve', () => {
  it('is the diagonal for evenly spread values and a step for a constant', () => {
    const even = calibrationCurve(
      Array.from({ length: 1000 }, (_, i) => (i + 0.5) / 1000),
      10,
    );
    expect(even.nominal).toHaveLength(11);
    even.nominal.forEach((level, i) => expect(even.empirical[i]).toBeCloseTo(level, 10));
    expect(Array.from(calibrationCurve([0.5, 0.5], 4).empirical)).toEqual([0, 0, 0.5, 1, 1]);
  });
});
