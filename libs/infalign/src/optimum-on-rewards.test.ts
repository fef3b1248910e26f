import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { theory } from './theory.js';
import { largestKlOfRewards, optimumOnRewards } from './optimum-on-rewards.js';
import { bestOf, parseProcedure, standardProcedure, worstOf } from './procedure.js';
import { seededRandom } from './random.js';

describe('optimumOnRewards', () => {
  it('is the exact optimum of a transformation where rewards are that transformation of uniform numbers', () => {
    const kinds = { identity: (u: number) => u, log: Math.log, 'exp:5': (u: number) => Math.exp(5 * u) };
    for (const [transform, phi] of Object.entries(kinds)) {
      for (const kl of [0.1, 0.5, 2]) {
        const optimum = optimumOnRewards([middles(4000).map(phi).reverse()], { kl });
        for (const procedure of ['standard', 'bon:4', 'won:4', 'kth:2/4', 'mix:bon:1@0.5+bon:4@0.5']) {
          const exact = theory({ procedure, transform, kl });
          const difference = optimum.winRate(parseProcedure(procedure)) - exact.winRate;
          expect(Math.abs(difference), `${transform} ${procedure} ${kl}`).toBeLessThan(2e-4);
          expect(optimum.beta / exact.beta, `${transform} ${procedure} ${kl}`).toBeCloseTo(1, 3);
        }
      }
    }
  });

  it('estimates what normal rewards come to from 100 of them on a prompt', () => {
    const random = seededRandom('normal rewards');
    const rewards = Array.from({ length: 100 }, () => Array.from({ length: 100 }, () => 3 * random.normal() - 7));
    // In best-of-4 the optimum is the best of four draws from N(√(2·KL), 1).
    for (const kl of [0.5, 1, 2]) {
      const optimum = optimumOnRewards(rewards, { kl });
      const tolerance = kl > 1 ? 0.01 : 0.005;
      const standard = optimum.standardWinRate - normalWinRate(Math.sqrt(2 * kl), 1);
      const bestOfFour = optimum.winRate(bestOf(4)) - normalWinRate(Math.sqrt(2 * kl), 4);
      expect(Math.abs(standard), `${kl}`).toBeLessThan(tolerance);
      expect(Math.abs(bestOfFour), `${kl}`).toBeLessThan(tolerance);
    }
  });

  it('has one β for all prompts, so that a prompt whose rewards spread farther takes more of the KL', () => {
    // Two levels of six responses each, at ±s with r/β = ±s: the upper one has 1/(1 + e^−2s) of the policy.
    const prompt = (middle: number, s: number) =>
      Array.from({ length: 12 }, (_, place) => middle + (place < 6 ? s : -s));
    const upper = [0.5, 1.5].map((s) => 1 / (1 + Math.exp(-2 * s)));
    const kl = mean(upper.map((p) => p * Math.log(2 * p) + (1 - p) * Math.log(2 * (1 - p))));
    const optimum = optimumOnRewards([prompt(0, 1), prompt(5, 3)], { beta: 2 });
    expect(optimum).toMatchObject({ beta: 2, kl: expect.closeTo(kl, 12) as number });
    expect(optimumOnRewards([prompt(0, 1), prompt(5, 3)], { kl }).beta).toBeCloseTo(2, 7);
    expect(optimum.standardWinRate).toBeCloseTo(mean(upper.map((p) => p / 2 + 1 / 4)), 8);
    // The best of two is the upper one unless both are lower; ties count ½.
    const bestOfTwo = upper.map((p) => {
      const policy = 1 - (1 - p) ** 2;
      return policy * (1 / 4 + 3 / 8) + (1 - policy) * (1 / 8);
    });
    expect(optimum.winRate(bestOf(2))).toBeCloseTo(mean(bestOfTwo), 8);
  });

  it('depends neither on the unit of rewards nor on what a prompt adds to all of its own', () => {
    const list = fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 20, maxLength: 20 });
    const lists = fc.array(list, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(lists, fc.constantFrom(0.125, 2, 1024), (drawn, unit) => {
        // Different enough for a KL of 0.4 to be within reach.
        const rewards = drawn.map((own) => own.map((reward, place) => reward + place));
        const moved = rewards.map((own, prompt) => own.map((reward) => unit * reward + 10 * prompt));
        for (const procedure of [standardProcedure, bestOf(4), worstOf(3)]) {
          const [one, other] = [rewards, moved].map((each) => optimumOnRewards(each, { kl: 0.4 }).winRate(procedure));
          expect(other).toBeCloseTo(one!, 6);
        }
      }),
      { seed: 5, numRuns: 50 },
    );
  });

  it('says what rewards it cannot tell anything of', () => {
    expect(largestKlOfRewards([middles(100), middles(200)])).toBeCloseTo(Math.log(12.5), 12);
    // Of 20 responses all but one are as good as each other: more than ln(20/19) cannot be had, and half has ln(10/9) or nothing.
    const oneLow = middles(20).map((_, place) => (place === 4 ? 1 : 2));
    const twoLow = middles(20).map((_, place) => (place < 2 ? 1 : 2));
    expect(largestKlOfRewards([oneLow])).toBe(0);
    expect(largestKlOfRewards([twoLow])).toBeCloseTo(0.99 * Math.log(10 / 9), 12);
    expect(optimumOnRewards([twoLow], { kl: largestKlOfRewards([twoLow]) }).standardWinRate).toBeCloseTo(0.55, 2);
    for (const nothing of [[], [[1, 2, 3]], [new Array<number>(20).fill(2)]]) {
      expect(largestKlOfRewards(nothing)).toBe(0);
      expect(() => optimumOnRewards(nothing, { kl: 0.1 })).toThrow(/a KL of 0\.1 is more than .* they do of none/);
      expect(() => optimumOnRewards(nothing, { beta: 0.1 })).toThrow(/a β of 0\.1 is more than .* they do of none/);
    }
    const at = (rewards: number[][], strength: { kl: number } | { beta: number }) => () =>
      optimumOnRewards(rewards, strength);
    expect(at([middles(100), middles(16)], { kl: 1 })).toThrow(/they do up to 0\.693 nats/);
    expect(at([middles(100)], { beta: 1e-3 })).toThrow(/the KL of a β of 0\.001 is more than .* up to 2\.53/);
    expect(at([middles(20), [...middles(19), NaN]], { kl: 0.1 })).toThrow(/reward of prompt 1 is NaN/);
    for (const wrong of [0, -1, NaN]) {
      expect(at([middles(20)], { kl: wrong })).toThrow(/above 0/);
      expect(at([middles(20)], { beta: wrong })).toThrow(/above 0/);
    }
  });
});

function middles(count: number): number[] {
  return Array.from({ length: count }, (_, place) => (place + 0.5) / count);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** P(best of n draws from N(shift, 1) > best of n draws from N(0, 1)), by Simpson's rule; Φ is summed up on the way. */
function normalWinRate(shift: number, draws: number): number {
  const [from, to, steps] = [-9, 12, 8000];
  const width = (to - from) / steps;
  const density = (x: number): number => Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  const distribution = (middle: number): number[] => {
    const sums = [0];
    for (let i = 1; i <= steps; i++) {
      const x = from + i * width - middle;
      const simpson = (width / 6) * (density(x - width) + 4 * density(x - width / 2) + density(x));
      sums.push(sums[i - 1]! + simpson);
    }
    return sums;
  };
  const policy = distribution(shift);
  const reference = distribution(0);
  let sum = 0;
  for (let i = 0; i <= steps; i++) {
    const weight = i === 0 || i === steps ? 1 : i % 2 === 1 ? 4 : 2;
    const referenceDensity = draws * reference[i]! ** (draws - 1) * density(from + i * width);
    sum += weight * (1 - policy[i]! ** draws) * referenceDensity;
  }
  return (width / 3) * sum;
}
