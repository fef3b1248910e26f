import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { k1, k3, klEstimates } from './kl.js';

const policy = [0.5, 0.3, 0.2];
const reference = [0.2, 0.3, 0.5];
const exactKl = policy.reduce((sum, p, v) => sum + p * Math.log(p / reference[v]!), 0);

describe('KL estimators', () => {
  it('are exact in expectation, for one token', () => {
    const ratios = policy.map((p, v) => Math.log(p / reference[v]!));
    expect(policy.reduce((sum, p, v) => sum + p * k1(ratios[v]!), 0)).toBeCloseTo(exactKl, 12);
    expect(policy.reduce((sum, p, v) => sum + p * k3(ratios[v]!), 0)).toBeCloseTo(exactKl, 12);
  });

  it('equal numbers worked by hand', () => {
    const estimates = klEstimates([-1, -2], [-1.5, -1.8]);
    expect(estimates.k1).toBeCloseTo(0.3, 12);
    expect(estimates.k3).toBeCloseTo(Math.exp(-0.3) - 1 + 0.3, 12);
    expect(estimates.tokenK3).toBeCloseTo(Math.exp(-0.5) - 1 + 0.5 + (Math.exp(0.2) - 1 - 0.2), 12);
  });

  it('never give a negative k3, not even next to zero', () => {
    for (const d of [-3, -1e-9, 0, 1e-9, 1e-4, 5]) expect(k3(d)).toBeGreaterThanOrEqual(0);
  });

  it('agree on the KL of a whole response, the token-wise k3 with the least spread', () => {
    const random = seededRandom('kl', 1);
    const n = 20_000;
    const sums = { k1: 0, k3: 0, tokenK3: 0 };
    const squares = { k1: 0, k3: 0, tokenK3: 0 };
    for (let i = 0; i < n; i++) {
      const tokens = Array.from({ length: 3 }, () => {
        const u = random.uniform();
        return u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
      });
      const estimates = klEstimates(
        tokens.map((v) => Math.log(policy[v]!)),
        tokens.map((v) => Math.log(reference[v]!)),
      );
      for (const name of ['k1', 'k3', 'tokenK3'] as const) {
        sums[name] += estimates[name] / n;
        squares[name] += estimates[name] ** 2 / n;
      }
    }
    for (const name of ['k1', 'k3', 'tokenK3'] as const) expect(Math.abs(sums[name] - 3 * exactKl)).toBeLessThan(0.04);
    const variance = (name: keyof typeof sums) => squares[name] - sums[name] ** 2;
    expect(variance('tokenK3')).toBeLessThan(0.5 * Math.min(variance('k1'), variance('k3')));
  });

  it('refuse shapes that differ', () => {
    expect(() => klEstimates([-1], [-1, -1])).toThrow(/shape/);
  });
});
