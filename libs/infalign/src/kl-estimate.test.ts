import { describe, expect, it } from 'vitest';
import { estimateKl } from './kl-estimate.js';
import { seededRandom } from './random.js';

describe('estimateKl', () => {
  it('estimates a known divergence without bias, k3 with less variance', () => {
    // π = N(0.3, 1), πref = N(0, 1): KL = 0.045.
    const random = seededRandom('kl');
    const runs = Array.from({ length: 400 }, () =>
      estimateKl(
        Float64Array.from({ length: 250 }, () => {
          const y = 0.3 + random.normal();
          return y ** 2 / 2 - (y - 0.3) ** 2 / 2;
        }),
      ),
    );
    const mean = (of: (run: { k1: number; k3: number }) => number) =>
      runs.reduce((s, run) => s + of(run), 0) / runs.length;
    const k1 = mean((run) => run.k1);
    const k3 = mean((run) => run.k3);
    expect(Math.abs(k1 - 0.045)).toBeLessThan(0.004);
    expect(Math.abs(k3 - 0.045)).toBeLessThan(0.001);
    expect(mean((run) => (run.k3 - k3) ** 2)).toBeLessThan(mean((run) => (run.k1 - k1) ** 2) / 10);
  });

  it('gives k1 a sign and k3 none', () => {
    expect(estimateKl([-0.2])).toEqual({ k1: -0.2, k3: Math.expm1(0.2) - 0.2 });
    expect(estimateKl([0, 0])).toEqual({ k1: 0, k3: 0 });
    expect(estimateKl([1, -1]).k1).toBe(0);
    expect(estimateKl([1, -1]).k3).toBeCloseTo(Math.cosh(1) - 1, 14);
  });

  it('refuses nothing and numbers that are not finite', () => {
    expect(() => estimateKl([])).toThrow(/no log ratios/);
    expect(() => estimateKl([0, NaN])).toThrow(/log ratio 2 of 2 is NaN/);
  });
});
