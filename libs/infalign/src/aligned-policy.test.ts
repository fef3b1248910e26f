import { describe, expect, it } from 'vitest';
import { alignedPolicy } from './aligned-policy.js';
import { bruteForcePolicy } from './brute-force.fixture.js';
import { InputError } from './input-error.js';
import { bestOf, kthBestOf, mixtureOf, standardProcedure, worstOf } from './procedure.js';
import { parseTransformation } from './parse-transformation.js';

describe('alignedPolicy', () => {
  it('agrees with independent integration for N up to 32 and β over six decades, for every transformation', () => {
    for (const text of ['identity', 'log', 'exp:5', 'exp:10', 'exp:-5', 'exp:-10']) {
      const { apply, standardDeviation } = parseTransformation(text);
      for (let decade = -3; decade <= 3; decade++) {
        const beta = standardDeviation * 10 ** decade;
        const policy = alignedPolicy(apply, beta);
        const expected = bruteForcePolicy(apply, beta);
        const at = `${text} β=${beta}`;
        expect(Math.abs(policy.kl - expected.kl), at).toBeLessThan(1e-6);
        expect(Math.abs(policy.standardWinRate - expected.standardWinRate), at).toBeLessThan(1e-6);
        for (const n of [1, 2, 4, 8, 32]) {
          expect(Math.abs(policy.winRate(bestOf(n)) - expected.bestOf(n)), `${at} bon:${n}`).toBeLessThan(1e-6);
          expect(Math.abs(policy.winRate(worstOf(n)) - expected.worstOf(n)), `${at} won:${n}`).toBeLessThan(1e-6);
        }
        expect(Math.abs(policy.winRate(kthBestOf(2, 4)) - expected.kthOf(2, 4)), at).toBeLessThan(1e-6);
        expect(Math.abs(policy.winRate(kthBestOf(6, 8)) - expected.kthOf(6, 8)), at).toBeLessThan(1e-6);
      }
    }
  });

  it('has the closed form of log: a best-of-N win rate of (1 + 1/β)/(2 + 1/β) for every N, over twelve decades', () => {
    for (let decade = -6; decade <= 6; decade++) {
      const n = 1 + 10 ** -decade;
      const policy = alignedPolicy(Math.log, 10 ** decade);
      expect(Math.abs(policy.kl - (Math.log(n) - (n - 1) / n))).toBeLessThan(1e-11);
      for (const draws of [1, 2, 4, 8, 32, 1000]) {
        expect(Math.abs(policy.winRate(bestOf(draws)) - n / (n + 1))).toBeLessThan(1e-10);
      }
    }
  });

  it('has the closed form of identity: a truncated exponential, over twelve decades', () => {
    for (let decade = -6; decade <= 6; decade++) {
      const rate = 10 ** -decade;
      const policy = alignedPolicy((u) => u, 1 / rate);
      const mean = rate < 1e-2 ? 0.5 + rate / 12 - rate ** 3 / 720 : 1 / -Math.expm1(-rate) - 1 / rate;
      expect(Math.abs(policy.standardWinRate - mean)).toBeLessThan(1e-10);
      const kl =
        rate < 1e-2 ? rate ** 2 / 24 - rate ** 4 / 960 : rate * (mean - 1) - Math.log(-Math.expm1(-rate) / rate);
      expect(Math.abs(policy.kl - kl)).toBeLessThan(1e-9);
      // Small divergences are exact in proportion, too.
      expect(Math.abs(policy.kl / kl - 1)).toBeLessThan(1e-7);
    }
  });

  it('takes transformations with kinks, plateaus and forbidden ranges', () => {
    // Only u ≥ ¾, evenly.
    const upper = alignedPolicy((u) => (u >= 0.75 ? 0 : -Infinity), 1);
    expect(upper.kl).toBeCloseTo(Math.log(4), 9);
    expect(upper.standardWinRate).toBeCloseTo(0.875, 9);
    // Symmetric about ½.
    const tent = alignedPolicy((u) => -Math.abs(u - 0.5), 0.003);
    expect(tent.standardWinRate).toBeCloseTo(0.5, 12);
    expect(tent.kl).toBeCloseTo(-1 - Math.log(2 * 0.003), 9);
    expect(alignedPolicy(() => 7, 2).kl).toBe(0);
    expect(alignedPolicy(() => 7, 2).winRate(bestOf(4))).toBeCloseTo(0.5, 13);
  });

  it('averages a mixture, and has its mean as standard win rate', () => {
    const policy = alignedPolicy((u) => u * u, 0.2);
    const mixture = mixtureOf([
      { procedure: bestOf(4), weight: 0.3 },
      { procedure: worstOf(8), weight: 0.7 },
    ]);
    expect(policy.winRate(mixture)).toBeCloseTo(0.3 * policy.winRate(bestOf(4)) + 0.7 * policy.winRate(worstOf(8)), 12);
    expect(policy.winRate(standardProcedure)).toBeCloseTo(policy.standardWinRate, 12);
  });

  it('refuses a β or a transformation that makes no policy', () => {
    for (const beta of [0, -1, NaN, Infinity]) expect(() => alignedPolicy((u) => u, beta)).toThrow(InputError);
    expect(() => alignedPolicy(() => NaN, 1)).toThrow(/is NaN at u/);
    expect(() => alignedPolicy((u) => 1 / u, 1)).toThrow(/is Infinity at u = 0/);
    expect(() => alignedPolicy(() => -Infinity, 1)).toThrow(/−∞ everywhere/);
  });
});
