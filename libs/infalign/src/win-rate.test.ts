import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { enumeratedWinRate } from './brute-force.fixture.js';
import { InputError } from './input-error.js';
import { bestOf, kthBestOf, mixtureOf, parseProcedure, standardProcedure, worstOf } from './procedure.js';
import { seededRandom } from './random.js';
import { winRateEstimator } from './win-rate.js';

const tiedRewards = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 1, maxLength: 7 });
const rewards = fc.oneof(
  tiedRewards,
  fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 7 }),
);

describe('winRateEstimator', () => {
  it('equals the enumeration of all subsets for every rank and N, ties included', () => {
    fc.assert(
      fc.property(rewards, rewards, fc.nat(), fc.nat(), (a, b, drawsChoice, rankChoice) => {
        const draws = 1 + (drawsChoice % Math.min(a.length, b.length));
        const rank = 1 + (rankChoice % draws);
        const expected = enumeratedWinRate(a, b, rank, draws);
        expect(Math.abs(winRateEstimator(kthBestOf(rank, draws))(a, b) - expected)).toBeLessThan(1e-12);
        if (rank === 1) expect(winRateEstimator(bestOf(draws))(a, b)).toBeCloseTo(expected, 12);
        if (rank === draws) expect(winRateEstimator(worstOf(draws))(a, b)).toBeCloseTo(expected, 12);
      }),
      { seed: 1, numRuns: 400 },
    );
  });

  it('averages a mixture over its procedures', () => {
    const a = [0.3, 1, 1, 2, 5];
    const b = [0.1, 1, 1.5, 2, 2, 3];
    const expected =
      0.25 * enumeratedWinRate(a, b, 1, 1) + 0.5 * enumeratedWinRate(a, b, 1, 4) + 0.25 * enumeratedWinRate(a, b, 3, 3);
    const mixture = parseProcedure('mix:standard@0.25+bon:4@0.5+won:3@0.25');
    expect(winRateEstimator(mixture)(a, b)).toBeCloseTo(expected, 12);
  });

  it('does not change with a monotone change of all rewards, and swaps with the sides', () => {
    fc.assert(
      fc.property(tiedRewards, tiedRewards, (a, b) => {
        const draws = Math.min(2, a.length, b.length);
        const estimate = winRateEstimator(bestOf(draws));
        expect(
          estimate(
            a.map((r) => Math.exp(3 * r) - 7),
            b.map((r) => Math.exp(3 * r) - 7),
          ),
        ).toBe(estimate(a, b));
        expect(estimate(a, b) + estimate(b, a)).toBeCloseTo(1, 12);
        const mirrored = winRateEstimator(worstOf(draws));
        expect(
          mirrored(
            b.map((r) => -r),
            a.map((r) => -r),
          ),
        ).toBeCloseTo(estimate(a, b), 12);
      }),
      { seed: 2 },
    );
  });

  it('is a half between equal samples and certain between separate ones', () => {
    const same = [3, 1, 2, 2];
    for (const procedure of [standardProcedure, bestOf(4), worstOf(3), kthBestOf(2, 3)]) {
      const estimate = winRateEstimator(procedure);
      expect(estimate(same, same)).toBeCloseTo(0.5, 14);
      expect(estimate([5, 6, 7, 8], same)).toBeCloseTo(1, 14);
      expect(estimate([-1, -2, -3, -4], same)).toBeCloseTo(0, 14);
    }
  });

  it('stays exact for thousands of samples, where binomial coefficients overflow', () => {
    const samples = 5000;
    const evens = Array.from({ length: samples }, (_, i) => 2 * i);
    const odds = evens.map((r) => r + 1);
    for (const draws of [1, 2, 500, 1000]) {
      // Where the maxima come from the same rank the odd side wins; otherwise the sides are exchangeable.
      let samePlace = 0;
      let place = draws / samples;
      for (let i = samples; i >= draws; i--) {
        samePlace += place * place;
        place *= (i - draws) / (i - 1);
      }
      expect(winRateEstimator(bestOf(draws))(odds, evens)).toBeCloseTo(0.5 + samePlace / 2, 11);
    }
  });

  it('is unbiased: its mean over many samples is the exact win rate', () => {
    const random = seededRandom('unbiased');
    const estimate = winRateEstimator(bestOf(4));
    let mean = 0;
    const prompts = 20_000;
    for (let prompt = 0; prompt < prompts; prompt++) {
      const policy = Array.from({ length: 6 }, () => random.uniform() ** (1 / 3)); // F = u³
      const reference = Array.from({ length: 8 }, () => random.uniform());
      mean += estimate(policy, reference) / prompts;
    }
    expect(Math.abs(mean - 3 / 4)).toBeLessThan(0.006);
  });

  it('leaves its arguments as they are, and takes changing numbers of samples', () => {
    const estimate = winRateEstimator(bestOf(2));
    const a = [3, 1, 2];
    const first = estimate(a, [2, 2]);
    expect(estimate([1, 2, 3, 4, 5], [1, 2])).toBeCloseTo(enumeratedWinRate([1, 2, 3, 4, 5], [1, 2], 1, 2), 12);
    expect(estimate(Float64Array.from(a), [2, 2])).toBe(first);
    expect(a).toEqual([3, 1, 2]);
  });

  it('refuses N above the samples and rewards that are not finite', () => {
    expect(() => winRateEstimator(bestOf(4))([1, 2, 3], [1, 2, 3, 4])).toThrow(InputError);
    expect(() => winRateEstimator(bestOf(4))([1, 2, 3, 4], [1, 2, 3])).toThrow(/at least 4 samples/);
    const mixture = mixtureOf([
      { procedure: bestOf(1), weight: 0.5 },
      { procedure: bestOf(4), weight: 0.5 },
    ]);
    expect(() => winRateEstimator(mixture)([1, 2], [1, 2])).toThrow(/at least 4 samples/);
    for (const bad of [NaN, Infinity, -Infinity]) {
      expect(() => winRateEstimator(bestOf(1))([1, bad, 2], [1])).toThrow(/policy reward is/);
      expect(() => winRateEstimator(bestOf(1))([1], [bad, 2])).toThrow(/reference reward is/);
    }
  });
});
