import { describe, expect, it } from 'vitest';
import { InputError } from './input-error.js';
import {
  bestOf,
  kthBestOf,
  mixtureOf,
  orderStatisticDensity,
  orderStatisticSurvival,
  parseProcedure,
  standardProcedure,
  worstOf,
} from './procedure.js';

describe('parseProcedure', () => {
  it('reads what the procedures are named', () => {
    const mixture = mixtureOf([
      { procedure: bestOf(1), weight: 0.25 },
      { procedure: kthBestOf(2, 4), weight: 0.75 },
    ]);
    for (const procedure of [standardProcedure, bestOf(4), worstOf(32), kthBestOf(2, 8), mixture]) {
      expect(parseProcedure(procedure.name)).toEqual(procedure);
    }
    expect(mixture.name).toBe('mix:bon:1@0.25+kth:2/4@0.75');
    expect(parseProcedure(' bon:4 ').orderStatistics).toEqual([{ draws: 4, rank: 1, weight: 1 }]);
    expect(parseProcedure('won:4').orderStatistics).toEqual([{ draws: 4, rank: 4, weight: 1 }]);
  });

  it('says what is allowed', () => {
    for (const text of [
      '',
      'bon',
      'bon:',
      'bon:x',
      'bon:1.5',
      'bon:-4',
      'best:4',
      'kth:2',
      'mix:',
      'mix:bon:4',
      'mix:a@1',
    ]) {
      expect(() => parseProcedure(text), text).toThrow(InputError);
      expect(() => parseProcedure(text), text).toThrow(/standard, bon:N, won:N, kth:K\/N/);
    }
    for (const text of ['bon:0', 'won:1001', 'kth:0/4', 'kth:5/4']) {
      expect(() => parseProcedure(text), text).toThrow(/whole number from 1/);
    }
    for (const text of ['mix:bon:1@0.5+bon:4@0.6', 'mix:bon:1@0+bon:4@1']) {
      expect(() => parseProcedure(text), text).toThrow(/sum to 1/);
    }
    expect(() => mixtureOf([])).toThrow(/sum to 1/);
  });
});

describe('order statistics', () => {
  const binomial = (n: number, k: number): number => (k === 0 ? 1 : (binomial(n - 1, k - 1) * n) / k);

  it('exceed a level when enough draws do', () => {
    for (const draws of [1, 2, 5, 8]) {
      for (let rank = 1; rank <= draws; rank++) {
        const survival = orderStatisticSurvival({ draws, rank, weight: 1 });
        for (const F of [0, 0.1, 0.5, 0.93, 1]) {
          let expected = 0;
          for (let j = rank; j <= draws; j++) expected += binomial(draws, j) * (1 - F) ** j * F ** (draws - j);
          expect(survival(F, 1 - F), `${rank}/${draws} at ${F}`).toBeCloseTo(expected, 13);
        }
      }
    }
  });

  it('have the density that their distribution has as slope', () => {
    for (const [rank, draws] of [
      [1, 1],
      [1, 4],
      [4, 4],
      [2, 4],
      [7, 32],
      [400, 1000],
    ] as const) {
      const statistic = { draws, rank, weight: 1 };
      const density = orderStatisticDensity(statistic);
      const survival = orderStatisticSurvival(statistic);
      for (const F of [0.2, 0.5, 0.61, 0.8]) {
        const step = 1e-5;
        const slope = (survival(F - step, 1 - F + step) - survival(F + step, 1 - F - step)) / (2 * step);
        expect(Math.abs(density(F, 1 - F) - slope)).toBeLessThan(1e-5 * Math.max(1, slope));
      }
    }
  });
});
