import '@tensorflow/tfjs-node';
import { exponentialTransformation, identityTransformation, type Transformation } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import {
  enumeratedTask,
  exactBestOfNWinRate,
  exactKl,
  optimalProbabilities,
  trainedProbabilities,
  type Table,
} from './enumeration.fixture.js';
import type { PpoSettings } from './ppo-learner.js';

const task = enumeratedTask(1);
const settings: PpoSettings = {
  iterations: 200,
  epochs: 1,
  minibatches: 2,
  learningRate: 3e-3,
  clipEpsilon: 0.2,
  valueClipEpsilon: 0.2,
  valueCoefficient: 0.1,
  gamma: 1,
  gaeLambda: 0.95,
  maxGradientNorm: 1,
  maxImportanceWeight: 2,
  advantages: 'leave_one_out',
};
const tolerance = 0.01;

const measures = (probabilities: Table) => ({
  kl: exactKl(task, probabilities),
  winRate: exactBestOfNWinRate(task, probabilities, 1),
  bestOf4WinRate: exactBestOfNWinRate(task, probabilities, 4),
});

const cases: [string, Transformation, number, Partial<PpoSettings>][] = [
  ['identity, against the other rollouts', identityTransformation, 1, {}],
  ['exp:10, against the value head', exponentialTransformation(10), 2, { advantages: 'value' }],
];

describe('PPO on a task of 307 responses a prompt', () => {
  it.each(cases)('lands on the exact optimum: %s', { timeout: 240_000 }, (_, transformation, beta, change) => {
    const optimum = measures(optimalProbabilities(task, transformation, beta));
    const training = { settings: { ...settings, ...change }, klStrength: { beta }, rolloutsPerPrompt: 256, seed: 1 };
    const trained = measures(trainedProbabilities(task, transformation, training));
    expect(Math.abs(trained.kl - optimum.kl)).toBeLessThan(tolerance);
    expect(Math.abs(trained.winRate - optimum.winRate)).toBeLessThan(tolerance);
    expect(Math.abs(trained.bestOf4WinRate - optimum.bestOf4WinRate)).toBeLessThan(tolerance);
  });

  it.each(cases)('would miss it by far with a β that is off by a fifth: %s', (_, transformation, beta) => {
    const optimum = measures(optimalProbabilities(task, transformation, beta));
    for (const factor of [0.8, 1.2]) {
      const other = measures(optimalProbabilities(task, transformation, factor * beta));
      expect(Math.abs(other.kl - optimum.kl)).toBeGreaterThan(5 * tolerance);
    }
  });

  it('is measured exactly: the reference policy has no KL and wins half', () => {
    const reference = measures(task.referenceProbabilities);
    expect(reference.kl).toBeCloseTo(0, 10);
    expect(reference.winRate).toBeCloseTo(0.5, 6);
    expect(reference.bestOf4WinRate).toBeCloseTo(0.5, 6);
  });
});
