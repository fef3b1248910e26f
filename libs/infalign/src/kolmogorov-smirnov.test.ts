import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { subsets } from './brute-force.fixture.js';
import { kolmogorovSmirnovDistance, kolmogorovSmirnovPValue } from './kolmogorov-smirnov.js';
import { seededRandom } from './random.js';

const share = (values: readonly number[], v: number) => values.filter((x) => x <= v).length / values.length;

/** From the definition: the shares differ most at one of the values. */
function distanceByDefinition(a: readonly number[], b: readonly number[]): number {
  return Math.max(...[...a, ...b].map((v) => Math.abs(share(a, v) - share(b, v))));
}

/** The distances of all ways to split the pool into n values and the rest. */
function distancesOfAllSplits(pool: readonly number[], n: number): number[] {
  return subsets(pool.length, n).map((chosen) => {
    const inA = new Set(chosen);
    return distanceByDefinition(
      pool.filter((_, i) => inA.has(i)),
      pool.filter((_, i) => !inA.has(i)),
    );
  });
}

function shareAtLeast(distances: readonly number[], distance: number): number {
  return distances.filter((other) => other >= distance - 1e-9).length / distances.length;
}

/** P(D ≥ k/n) for two samples of n values: 2·Σ (−1)^(i−1)·C(2n, n − ik)/C(2n, n), by reflection (Gnedenko and Koroljuk 1951). */
function closedForm(k: number, n: number): number {
  let sum = 0;
  for (let i = 1; i * k <= n; i++) {
    let ratio = 1;
    for (let step = 1; step <= i * k; step++) ratio *= (n - i * k + step) / (n + step);
    sum += (i % 2 === 1 ? 2 : -2) * ratio;
  }
  return sum;
}

const sample = fc.array(fc.integer({ min: 0, max: 6 }), { minLength: 1, maxLength: 12 });

describe('kolmogorovSmirnovDistance', () => {
  it('is the largest difference of the two distribution functions, in any order and with ties', () => {
    expect(kolmogorovSmirnovDistance([1, 2, 3], [4, 5])).toBe(1);
    expect(kolmogorovSmirnovDistance([2, 1], [1, 2])).toBe(0);
    expect(kolmogorovSmirnovDistance([1, 1, 1, 2], [1, 2, 2, 2])).toBe(0.5);
    expect(kolmogorovSmirnovDistance([0], [-0])).toBe(0);
    fc.assert(
      fc.property(sample, sample, (a, b) => {
        expect(kolmogorovSmirnovDistance(a, b)).toBeCloseTo(distanceByDefinition(a, b), 12);
        expect(kolmogorovSmirnovDistance(b, a)).toBe(kolmogorovSmirnovDistance(a, b));
      }),
      { seed: 1 },
    );
  });

  it('leaves its arguments as they are', () => {
    const values = [3, 1, 2];
    kolmogorovSmirnovDistance(values, values);
    expect(values).toEqual([3, 1, 2]);
  });

  it('refuses an empty sample and values that are not finite', () => {
    expect(() => kolmogorovSmirnovDistance([], [1])).toThrow(/empty/);
    expect(() => kolmogorovSmirnovDistance([1], [2, NaN])).toThrow(/NaN/);
    expect(() => kolmogorovSmirnovDistance([-Infinity], [2])).toThrow(/finite/);
  });
});

describe('kolmogorovSmirnovPValue', () => {
  it('is the share of all splits that are at least so far apart, up to six and seven values', () => {
    for (let n = 1; n <= 6; n++) {
      for (let m = 1; m <= 7; m++) {
        const distances = distancesOfAllSplits(
          Array.from({ length: n + m }, (_, i) => i),
          n,
        );
        for (const distance of new Set(distances)) {
          const error = kolmogorovSmirnovPValue(distance, n, m) - shareAtLeast(distances, distance);
          expect(Math.abs(error)).toBeLessThan(1e-12);
        }
      }
    }
  });

  it('agrees with the closed form for samples of equal size, deep into the tail', () => {
    for (const n of [10, 64, 100, 300]) {
      for (const k of [1, 2, Math.round(n / 5), Math.round(n / 3), Math.round(n / 2), n]) {
        const expected = closedForm(k, n);
        expect(Math.abs(kolmogorovSmirnovPValue(k / n, n, n) / expected - 1)).toBeLessThan(1e-9);
      }
    }
  });

  it('is an upper bound with ties: the share of the splits of any tied pool is not above it', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 8, maxLength: 11 }), (pool) => {
        const distances = distancesOfAllSplits(pool, 4);
        for (const distance of new Set(distances)) {
          const bound = kolmogorovSmirnovPValue(distance, 4, pool.length - 4);
          expect(shareAtLeast(distances, distance)).toBeLessThanOrEqual(bound + 1e-12);
        }
      }),
      { seed: 2, numRuns: 40 },
    );
  });

  it('is close to the exact probability in its asymptotic form', () => {
    const scaled = (lambda: number, n: number, m: number) => lambda * Math.sqrt((n + m) / (n * m));
    for (const k of [30, 40, 50, 60, 70, 85]) {
      const ratio = kolmogorovSmirnovPValue(k / 1001, 1001, 1001) / closedForm(k, 1001);
      expect(ratio).toBeGreaterThan(1 - 5e-4);
      expect(ratio).toBeLessThan(1.01);
    }
    // Kolmogorov's table: 0.05 at 1.3581, 0.01 at 1.6276, 0.001 at 1.9495.
    for (const [probability, lambda] of [
      [0.05, 1.3581],
      [0.01, 1.6276],
      [0.001, 1.9495],
    ] as const) {
      expect(kolmogorovSmirnovPValue(scaled(lambda, 4000, 6000), 4000, 6000) / probability).toBeCloseTo(1, 3);
    }
    expect(kolmogorovSmirnovPValue(0, 2000, 2000)).toBe(1);
    expect(kolmogorovSmirnovPValue(1, 2000, 2000)).toBe(0);
  });

  it('alarms no more often than the level asks for, in samples without and with ties', () => {
    const random = seededRandom('kolmogorov-smirnov');
    const kinds = {
      continuous: () => random.normal(),
      tied: () => Math.round(random.normal()),
    };
    const tests = 4000;
    const level = 0.05;
    for (const draw of Object.values(kinds)) {
      let alarms = 0;
      for (let test = 0; test < tests; test++) {
        const a = Float64Array.from({ length: 20 }, draw);
        const b = Float64Array.from({ length: 15 }, draw);
        if (kolmogorovSmirnovPValue(kolmogorovSmirnovDistance(a, b), 20, 15) <= level) alarms++;
      }
      // Four standard deviations of the binomial distribution.
      expect(alarms / tests).toBeLessThan(level + 4 * Math.sqrt((level * (1 - level)) / tests));
    }
  });

  it('refuses a distance and sizes that are none', () => {
    for (const bad of [-0.1, 1.1, NaN]) expect(() => kolmogorovSmirnovPValue(bad, 3, 3)).toThrow(/from 0 to 1/);
    for (const bad of [0, 1.5, NaN]) expect(() => kolmogorovSmirnovPValue(0.5, bad, 3)).toThrow(/whole number/);
    expect(() => kolmogorovSmirnovPValue(0.5, 3, -1)).toThrow(/whole number/);
  });
});
