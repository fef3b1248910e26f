import '@tensorflow/tfjs-node';
import {
  algorithms,
  betaForKl,
  exponentialTransformation,
  identityTransformation,
  normalisedBeta,
  rawBeta,
  type Algorithm,
  type Transformation,
} from '@infalign/core';
import { describe, expect, it } from 'vitest';
import {
  enumeratedTask,
  exactBestOfNWinRate,
  exactKl,
  optimalProbabilities,
  trainedProbabilities,
  type Table,
} from './enumeration.fixture.js';
import { quickSettings, type AllSettings } from './learning-settings.fixture.js';

const task = enumeratedTask(1);
const tolerance = 0.01;

const measures = (probabilities: Table) => ({
  kl: exactKl(task, probabilities),
  winRate: exactBestOfNWinRate(task, probabilities, 1),
  bestOf4WinRate: exactBestOfNWinRate(task, probabilities, 4),
});

interface Case {
  readonly algorithm: Algorithm;
  readonly transformation: Transformation;
  /** β, on the scale of the normalised transformation. */
  readonly beta: number;
  readonly change?: Partial<AllSettings>;
}

const cases: [string, Case][] = [
  [
    'PPO on the identity, against the other rollouts',
    { algorithm: 'ppo', transformation: identityTransformation, beta: 1 },
  ],
  [
    'PPO on exp:10, against the value head',
    { algorithm: 'ppo', transformation: exponentialTransformation(10), beta: 2, change: { advantages: 'value' } },
  ],
  [
    'PPO on exp:5, against a critic',
    {
      algorithm: 'ppo',
      transformation: exponentialTransformation(5),
      beta: 1,
      change: { advantages: 'critic', gaeLambda: 0.5, criticLearningRate: 3e-3 },
    },
  ],
  ['RLOO on the identity', { algorithm: 'rloo', transformation: identityTransformation, beta: 1 }],
  ['REBEL on exp:5', { algorithm: 'rebel', transformation: exponentialTransformation(5), beta: 1 }],
  // Its optimum is that of the identity: see rewardOfMethod.
  ['IPO', { algorithm: 'ipo', transformation: identityTransformation, beta: 1 }],
];

/** The β that an algorithm is given for a normalised one. */
function ownBeta({ algorithm, transformation, beta }: Case): number {
  return algorithms[algorithm].takesRewards ? beta : rawBeta(transformation, beta);
}

describe('on a task of 307 responses a prompt', () => {
  it.each(cases)('lands on the exact optimum: %s', { timeout: 240_000 }, (_, each) => {
    const { algorithm, transformation, beta, change } = each;
    const optimum = measures(optimalProbabilities(task, transformation, beta));
    const training = {
      algorithm,
      settings: { ...quickSettings, ...change },
      klStrength: { beta: ownBeta(each) },
      // What it lands on is as exact as the rollouts that there are at first are many, if it learns from these.
      rolloutsPerPrompt: algorithms[algorithm].learnsFrom === 'reference' ? 1024 : 256,
      seed: 1,
    };
    const trained = measures(trainedProbabilities(task, transformation, training));
    expect(Math.abs(trained.kl - optimum.kl)).toBeLessThan(tolerance);
    expect(Math.abs(trained.winRate - optimum.winRate)).toBeLessThan(tolerance);
    expect(Math.abs(trained.bestOf4WinRate - optimum.bestOf4WinRate)).toBeLessThan(tolerance);
  });

  it.each(cases)('would miss it by far with a β that is off by a fifth: %s', (_, { transformation, beta }) => {
    const optimum = measures(optimalProbabilities(task, transformation, beta));
    for (const factor of [0.8, 1.2]) {
      const other = measures(optimalProbabilities(task, transformation, factor * beta));
      expect(Math.abs(other.kl - optimum.kl)).toBeGreaterThan(5 * tolerance);
    }
  });

  it.each<Algorithm>(['grpo', 'dpo', 'bonbon'])(
    'gains by %s what a KL allows, and no more',
    { timeout: 240_000 },
    (algorithm) => {
      const training = {
        algorithm,
        settings: { ...quickSettings, iterations: 120 },
        klStrength: { targetKl: 0.3, initialBeta: algorithm === 'bonbon' ? 0.7 : 0.5 },
        rolloutsPerPrompt: 128,
        seed: 1,
      };
      const { kl, winRate } = measures(trainedProbabilities(task, identityTransformation, training));
      expect(kl).toBeGreaterThan(0.2);
      expect(kl).toBeLessThan(0.4);
      const beta = normalisedBeta(identityTransformation, betaForKl(identityTransformation, kl));
      // The limit is for rewards without ties; the task's own, with ties, is the optimum of the identity at the same KL or below.
      expect(winRate - 0.5).toBeLessThan(
        measures(optimalProbabilities(task, identityTransformation, beta * 0.9)).winRate - 0.5,
      );
      expect(winRate).toBeGreaterThan(0.6);
    },
  );

  it('is measured exactly: the reference policy has no KL and wins half', () => {
    const reference = measures(task.referenceProbabilities);
    expect(reference.kl).toBeCloseTo(0, 10);
    expect(reference.winRate).toBeCloseTo(0.5, 6);
    expect(reference.bestOf4WinRate).toBeCloseTo(0.5, 6);
  });
});
