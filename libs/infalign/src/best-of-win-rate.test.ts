import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { bestOfWinRateEstimator, samplesForBestOf } from './best-of-win-rate.js';
import { enumeratedBestOfWinRate } from './brute-force.fixture.js';
import { bestOfPolicy } from './frontier.js';
import { InputError } from './input-error.js';
import { bestOf, kthBestOf, parseProcedure, standardProcedure, worstOf } from './procedure.js';
import { seededRandom, shuffled } from './random.js';
import { winRateEstimator } from './win-rate.js';

/** Every fourth sample is the reference, in each of the four ways. */
function enumerated(
  samples: { selector: number[]; scorer: number[] },
  parameters: { n: number; rank: number; draws: number },
): number {
  const all = samples.scorer.map((_, i) => i);
  const parts = [0, 1, 2, 3].map((part) =>
    enumeratedBestOfWinRate(
      samples,
      all.filter((i) => i % 4 !== part),
      all.filter((i) => i % 4 === part),
      parameters,
    ),
  );
  return parts.reduce((sum, value) => sum + value) / 4;
}

describe('bestOfWinRateEstimator', () => {
  it.each([
    [1, 1, 1, 5],
    [2, 1, 1, 7],
    [3, 1, 1, 9],
    [2, 1, 2, 9],
    [2, 2, 2, 8],
    [3, 2, 2, 11],
    [1, 2, 3, 12],
    [2, 1, 3, 12],
    [2, 2, 3, 12],
    [2, 3, 3, 13],
    [3, 2, 3, 12],
  ])(
    'equals the enumeration of all groups: best of %i, then number %i of %i, from %i samples',
    (n, rank, draws, count) => {
      const random = seededRandom('groups', n, rank, draws);
      for (let trial = 0; trial < 4; trial++) {
        // Few values to score with, so that there are ties; the selector agrees with the scorer only in part.
        const scorer = Array.from({ length: count }, () => random.integer(5));
        const order = shuffled(Array.from(scorer.keys()), random);
        const selector = order.map((place, i) => place + 2 * (scorer[i] as number));
        const distinct = selector.map((value, i) => value + i / 100);
        const expected = enumerated({ selector: distinct, scorer }, { n, rank, draws });
        expect(bestOfWinRateEstimator(n, kthBestOf(rank, draws))(distinct, scorer)).toBeCloseTo(expected, 12);
      }
    },
  );

  it('has the win rate of the best-of-n policy as its mean, when the selector scores, whatever the rewards', () => {
    const random = seededRandom('same-scorer');
    for (const procedure of ['standard', 'bon:3', 'won:3', 'kth:2/3', 'mix:standard@0.5+won:2@0.5'].map(
      parseProcedure,
    )) {
      const estimate = bestOfWinRateEstimator(4, procedure);
      const prompts = 1500;
      let mean = 0;
      for (let prompt = 0; prompt < prompts; prompt++) {
        const rewards = Array.from({ length: 18 }, () => Math.exp(random.normal()));
        mean += estimate(rewards, rewards) / prompts;
      }
      expect(Math.abs(mean - bestOfPolicy(4, procedure).winRate)).toBeLessThan(0.007);
    }
  });

  it('is without bias for a scorer that the selector knows only in part', () => {
    // The selector sees one of two coins of each sample, the scorer their sum. Best of 2 by the first coin has it with probability ¾.
    const random = seededRandom('coins');
    const estimate = bestOfWinRateEstimator(2, bestOf(2));
    const prompts = 4000;
    let mean = 0;
    for (let prompt = 0; prompt < prompts; prompt++) {
      const seen = Array.from({ length: 10 }, () => random.integer(2));
      const scorer = seen.map((coin) => coin + random.integer(2));
      mean += estimate(seen, scorer) / prompts;
    }
    // P(0), P(1), P(2) of one answer: ⅛, ½, ⅜ for the policy and ¼, ½, ¼ for the reference.
    const best = (below: number, upTo1: number) => [below ** 2, upTo1 ** 2 - below ** 2, 1 - upTo1 ** 2] as const;
    const [p, q] = [best(1 / 8, 5 / 8), best(1 / 4, 3 / 4)];
    const exact = p[1] * q[0] + p[2] * (q[0] + q[1]) + (p[0] * q[0] + p[1] * q[1] + p[2] * q[2]) / 2;
    expect(Math.abs(mean - exact)).toBeLessThan(0.008);
  });

  it('is the plain estimate for the best of one', () => {
    const rewards = [0.3, 0.1, 0.9, 0.4, 0.5, 0.2, 0.8, 0.7];
    const part = (keep: boolean, which: number) => rewards.filter((_, i) => (i % 4 === which) === keep);
    const plain = winRateEstimator(worstOf(2));
    const expected = [0, 1, 2, 3].reduce((sum, which) => sum + plain(part(false, which), part(true, which)) / 4, 0);
    expect(bestOfWinRateEstimator(1, worstOf(2))(rewards, rewards)).toBeCloseTo(expected, 12);
  });

  it('does not change with a monotone change of either reward', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ max: 99 }), fc.integer({ max: 9 })), { minLength: 11, maxLength: 20 }),
        (samples) => {
          const selector = samples.map(([value]) => value);
          const scorer = samples.map(([, value]) => value);
          const estimate = bestOfWinRateEstimator(4, kthBestOf(2, 2));
          const changed = estimate(
            selector.map((value) => value / 7 - 3),
            scorer.map((value) => 5 * value + 1),
          );
          expect(changed).toBe(estimate(selector, scorer));
        },
      ),
      { seed: 1 },
    );
  });

  it('is certain about a selector that knows the one good sample in each group', () => {
    // Of 16 samples 4 are good. 12 are the policy's, 3 of them good; of the 4 others 1 is.
    const scorer = Array.from({ length: 16 }, (_, i) => (i < 4 ? 1 : 0));
    const knowing = bestOfWinRateEstimator(12, standardProcedure)(scorer, scorer);
    expect(knowing).toBeCloseTo(3 / 4 + 1 / 4 / 2, 12); // always good; the reference is with probability ¼
    const mistaken = bestOfWinRateEstimator(9, standardProcedure)(
      scorer.map((value) => -value),
      scorer,
    );
    expect(mistaken).toBeCloseTo((3 / 4) * (1 / 2), 12); // never good
  });

  it('does with as few samples as it says, and not with fewer', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 6 }), (n, draws) => {
        const fewest = samplesForBestOf(n, bestOf(draws));
        const rewards = Array.from({ length: fewest }, (_, i) => (i * 7) % fewest);
        const estimate = bestOfWinRateEstimator(n, bestOf(draws));
        expect(estimate(rewards, rewards)).toBeGreaterThanOrEqual(0);
        expect(() => estimate(rewards.slice(1), rewards.slice(1))).toThrow(/at least/);
        const policySamples = fewest - 1 - Math.ceil((fewest - 1) / 4);
        expect(policySamples < n * draws || Math.floor((fewest - 1) / 4) < draws).toBe(true);
      }),
      { seed: 2 },
    );
  });

  it('stays exact where the numbers of ways overflow', () => {
    // 16 groups of 60 of 1500 samples, in a ratio of 1 to 3 and in rising order: the exact mean is known.
    const random = seededRandom('many');
    const rewards = Array.from({ length: 2000 }, () => random.uniform());
    const winRate = bestOfWinRateEstimator(60, bestOf(16))(rewards, rewards);
    expect(Math.abs(winRate - 60 / 61)).toBeLessThan(0.02);
  });

  it('refuses too few samples, rewards of different samples, and rewards that are not finite', () => {
    const estimate = bestOfWinRateEstimator(2, bestOf(2));
    const good = [1, 2, 3, 4, 5, 6, 7, 8];
    expect(() => estimate(good.slice(1), good.slice(1))).toThrow(InputError);
    expect(() => estimate(good, good.slice(1))).toThrow(/same samples, not 8 and 7/);
    expect(() => estimate(good, [...good.slice(1), NaN])).toThrow(/sample 8 of 8 is not finite/);
    expect(() => bestOfWinRateEstimator(1.5, bestOf(2))).toThrow(/whole number/);
  });
});
