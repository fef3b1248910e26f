import { describe, expect, it } from 'vitest';
import { alignedPolicy } from './aligned-policy.js';
import { bruteForcePolicy } from './brute-force.fixture.js';
import { InputError } from './input-error.js';
import { optimalPolicy } from './optimal-policy.js';
import { bestOf, kthBestOf, parseProcedure, standardProcedure, worstOf } from './procedure.js';

describe('optimalPolicy', () => {
  it('agrees with independent integration of its own transformation, for N up to 32 and β over six decades', () => {
    for (const n of [2, 4, 8, 32]) {
      for (let decade = -3; decade <= 3; decade++) {
        const beta = 10 ** decade;
        for (const procedure of [bestOf(n), worstOf(n)]) {
          const optimum = optimalPolicy(procedure, beta);
          const expected = bruteForcePolicy(optimum.transformation().apply, beta);
          const at = `${procedure.name} β=${beta}`;
          const winRate = procedure.name.startsWith('bon') ? expected.bestOf(n) : expected.worstOf(n);
          expect(Math.abs(optimum.winRate - winRate), at).toBeLessThan(1e-6);
          expect(Math.abs(optimum.kl - expected.kl), at).toBeLessThan(1e-5);
          expect(Math.abs(optimum.standardWinRate - expected.standardWinRate), at).toBeLessThan(1e-6);
        }
      }
    }
  });

  it('is a fixed point: Φ′(u) = N²(F(u)·u)^{N−1}, or N²((1−F)(1−u))^{N−1} for worst-of-N', () => {
    for (const beta of [0.01, 0.2, 5]) {
      for (const [procedure, slope] of [
        [bestOf(4), (F: number, u: number) => 16 * (F * u) ** 3],
        [worstOf(4), (F: number, u: number) => 16 * ((1 - F) * (1 - u)) ** 3],
        [kthBestOf(2, 3), (F: number, u: number) => 36 * F * u * (1 - F) * (1 - u)],
        [parseProcedure('mix:standard@0.5+bon:4@0.5'), (F: number, u: number) => 0.5 + 8 * (F * u) ** 3],
      ] as const) {
        const { apply } = optimalPolicy(procedure, beta).transformation();
        // F by Simpson's rule on e^{Φ/β}.
        const cells = 20_000;
        const weights = Array.from({ length: cells }, (_, i) => {
          const f = (u: number) => Math.exp((apply(u) - apply(1)) / beta);
          return (f(i / cells) + 4 * f((i + 0.5) / cells) + f((i + 1) / cells)) / 6;
        });
        const total = weights.reduce((sum, w) => sum + w, 0);
        let F = 0;
        for (let i = 1; i < cells; i++) {
          F += (weights[i - 1] as number) / total;
          if (i % 2000 !== 0) continue;
          const u = i / cells;
          const difference = (apply(u + 1e-4) - apply(u - 1e-4)) / 2e-4;
          expect(Math.abs(difference - slope(F, u)), `${procedure.name} β=${beta} u=${u}`).toBeLessThan(
            2e-4 * Math.max(1, slope(F, u)),
          );
        }
      }
    }
  });

  it('is the identity for plain sampling', () => {
    for (const beta of [1e-4, 0.1, 10]) {
      const optimum = optimalPolicy(standardProcedure, beta);
      const identity = alignedPolicy((u) => u, beta);
      expect(optimum.kl).toBeCloseTo(identity.kl, 8);
      expect(optimum.winRate).toBeCloseTo(identity.standardWinRate, 9);
      const { apply, mean, standardDeviation, normalised } = optimum.transformation();
      expect(apply(0.3)).toBeCloseTo(0.3, 7);
      expect(mean).toBeCloseTo(0.5, 7);
      expect(standardDeviation).toBeCloseTo(Math.sqrt(1 / 12), 7);
      expect(normalised(1)).toBeCloseTo(Math.sqrt(3), 6);
    }
  });

  it('reaches far beyond six decades, where the density is zero to double precision over most of [0, 1]', () => {
    const worst = optimalPolicy(worstOf(32), 1e-30);
    expect(worst.kl).toBeGreaterThan(2);
    expect(worst.winRate).toBeCloseTo(1, 12);
    expect(optimalPolicy(bestOf(4), 1e-9).winRate).toBeCloseTo(1, 8);
    const weak = optimalPolicy(bestOf(4), 1e9);
    expect(weak.winRate).toBeCloseTo(0.5, 8);
    expect(weak.kl).toBeLessThan(1e-15);
  });

  it('refuses a β that is not positive or that double precision cannot resolve', () => {
    for (const beta of [0, -1, NaN]) expect(() => optimalPolicy(bestOf(4), beta)).toThrow(InputError);
    expect(() => optimalPolicy(bestOf(4), 1e-60)).toThrow(/point mass/);
    expect(() => optimalPolicy(standardProcedure, 1e-60)).toThrow(/point mass/);
  });
});
