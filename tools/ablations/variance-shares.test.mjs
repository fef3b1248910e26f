import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { meanOver, statisticOver } from './interval.mjs';
import {
  correlation,
  determinedShare,
  explainedShare,
  groupOf,
  meanOverPairs,
  varianceParts,
  withoutLevel,
} from './variance-shares.mjs';

/** Groups of values: a mean of variance 4 that all of a group have, and noise of variance 9. */
function simulated(groups, count) {
  const random = seededRandom('variance-shares', 1);
  return Array.from({ length: groups }, () => {
    const truth = 2 * random.normal();
    return { truth, ...groupOf(Array.from({ length: count }, () => truth + 3 * random.normal())) };
  });
}

describe('shares of a variance', () => {
  it('are those of a small example, worked out by hand', () => {
    // Means 0 and 4: variance 8, of which 2/2 is noise; within: 2.
    const groups = [groupOf([-1, 1]), groupOf([3, 5])];
    expect(varianceParts(groups, 2)).toEqual({ between: 7, within: 2 });
    expect(determinedShare(groups, 2)).toBeCloseTo(7 / 9, 12);
    expect(explainedShare([10, 20], groups, 2)).toBeCloseTo((5 * 2) ** 2 / (25 * 7), 12);
  });

  it('do not depend on how many values the means are of', () => {
    for (const count of [2, 20]) {
      const groups = simulated(20_000, count);
      expect(determinedShare(groups, count), `${count} values`).toBeCloseTo(4 / 13, 1.5);
      const truths = groups.map(({ truth }) => truth);
      expect(explainedShare(truths, groups, count), `${count} values`).toBeCloseTo(1, 1.3);
    }
  });

  it('of a prediction with noise of its own are less', () => {
    const random = seededRandom('variance-shares', 2);
    const groups = simulated(20_000, 5);
    const predictions = groups.map(({ truth }) => 7 - 0.1 * (truth + 2 * random.normal()));
    expect(explainedShare(predictions, groups, 5)).toBeCloseTo(0.5, 1.3);
  });
});

describe('what is left without a level', () => {
  it('has the mean 0 in every bin', () => {
    expect(Array.from(withoutLevel([1, 3, 10, 20, 7], [0, 0.49, 0.5, 1, 0.75], 2))).toEqual([
      -1,
      1,
      10 - 37 / 3,
      20 - 37 / 3,
      7 - 37 / 3,
    ]);
  });
});

describe('statistics', () => {
  it('of pairs are averaged over all of them', () => {
    const [a, b] = [
      [1, 2, 3],
      [3, 2, 1],
    ];
    expect(correlation(a, b)).toBeCloseTo(-1, 12);
    expect(meanOverPairs([a, b, a], correlation)).toBeCloseTo(-1 / 3, 12);
  });

  it('have the interval that a mean has where the statistic is the mean', () => {
    const random = seededRandom('statistics', 1);
    const values = Array.from({ length: 60 }, () => random.normal());
    const mean = (drawn) => drawn.reduce((sum, value) => sum + value, 0) / drawn.length;
    const [own, expected] = [statisticOver(values, mean, 'a mean'), meanOver(values, 'a mean')];
    expect(own.mean).toBeCloseTo(expected.mean, 12);
    expect(own.low).toBeCloseTo(expected.low, 1.3);
    expect(own.high).toBeCloseTo(expected.high, 1.3);
    expect(own.high - own.low).toBeGreaterThan(0.3);
    expect(statisticOver(values, mean, 'a mean')).toEqual(own);
  });
});
