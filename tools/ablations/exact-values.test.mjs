import fc from 'fast-check';
import {
  calibrateReward,
  exponentialBias,
  logTransformation,
  sortedReferences,
  transformEstimate,
} from '@infalign/core';
import { describe, expect, it } from 'vitest';
import {
  exactCalibrationError,
  exactMean,
  exactMeanOverRollouts,
  meanOverLevels,
  referencesOfError,
} from './exact-values.mjs';
import { meanSquaredError, trueCalibration } from './true-calibration.mjs';

/** Every list of so many rewards from 0 to n − 1, with its probability. */
function samples(probabilities, count) {
  if (count === 0) return [{ rewards: [], probability: 1 }];
  return samples(probabilities, count - 1).flatMap(({ rewards, probability }) =>
    probabilities.map((own, reward) => ({ rewards: [...rewards, reward], probability: probability * own })),
  );
}

/** C of each reward, from the probabilities alone. */
function midRanks(probabilities) {
  return probabilities.map((own, reward) => probabilities.slice(0, reward).reduce((a, b) => a + b, 0) + own / 2);
}

const distributions = fc
  .array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 })
  .map((weights) => weights.map((weight) => weight / weights.reduce((a, b) => a + b, 0)));

describe('exactCalibrationError', () => {
  it('is that of all references there can be, counted one by one, where rewards tie', () => {
    const count = fc.integer({ min: 1, max: 4 });
    const check = (probabilities, references) => {
      const truth = midRanks(probabilities);
      let expected = 0;
      for (const { rewards, probability } of samples(probabilities, references)) {
        const sorted = sortedReferences(rewards);
        probabilities.forEach((own, reward) => {
          expected += probability * own * (calibrateReward(reward, sorted) - truth[reward]) ** 2;
        });
      }
      const sum = (power) => probabilities.reduce((total, own) => total + own ** power, 0);
      const error = exactCalibrationError(references, { pairs: sum(2), triples: sum(3) });
      expect(error ** 2).toBeCloseTo(expected, 10);
    };
    fc.assert(fc.property(distributions, count, check), { seed: 1 });
  });

  it('comes to 1/√(6K) where there are so many values that hardly any tie', () => {
    const values = 1000;
    const ties = { pairs: 1 / values, triples: 1 / values ** 2 };
    expect(exactCalibrationError(100, ties)).toBeCloseTo(Math.sqrt(1 / 600), 3);
    expect(exactCalibrationError(100)).toBeCloseTo(Math.sqrt(1 / 600), 12);
  });

  it('has so many references as its inverse', () => {
    for (const references of [8, 100, 300]) {
      expect(referencesOfError(exactCalibrationError(references))).toBeCloseTo(references, 9);
    }
  });
});

describe('the error against a C that is itself an estimate', () => {
  it('is on average that against the true C, also where rewards tie', () => {
    const check = (probabilities, many, estimate) => {
      const truth = midRanks(probabilities);
      probabilities.forEach((_, reward) => {
        const mean = samples(probabilities, many).reduce(
          (sum, { rewards, probability }) =>
            sum + probability * meanSquaredError([estimate], trueCalibration([reward], rewards)),
          0,
        );
        expect(mean).toBeCloseTo((estimate - truth[reward]) ** 2, 10);
      });
    };
    const many = fc.integer({ min: 2, max: 4 });
    fc.assert(fc.property(distributions, many, fc.double({ min: 0, max: 1, noNaN: true }), check), { seed: 1 });
  });
});

describe('exactMean', () => {
  it('gives the bias of the exponential in its closed form', () => {
    for (const [t, c, references] of [
      [10, 0.5, 8],
      [10, 0.97, 300],
      [-5, 0.03, 1000],
    ]) {
      const mean = exactMean((u) => Math.exp(t * u), references, c);
      expect(mean / Math.exp(t * c)).toBeCloseTo(exponentialBias(t, c, references), 8);
    }
  });

  it('averages over C to the mean over numbers of wins that are all as probable', () => {
    const estimate = (u, references) => transformEstimate(logTransformation, u, references, { normalised: true });
    for (const references of [1, 8, 100]) {
      const overLevels = meanOverLevels((c) => exactMean(estimate, references, c), 0, 1, 4000);
      expect(overLevels).toBeCloseTo(exactMeanOverRollouts(estimate, references), 5);
    }
    expect(exactMeanOverRollouts((u) => u * u, 2)).toBeCloseTo((0 + 0.25 + 1) / 3, 12);
  });
});
