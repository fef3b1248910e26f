import '@tensorflow/tfjs-node';
import { identityTransformation } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import {
  enumeratedTask,
  exactBestOfNWinRate,
  exactKl,
  learnerOf,
  optimalProbabilities,
  responseProbabilities,
  sampledRollouts,
} from './enumeration.fixture.js';
import { quickSettings } from './learning-settings.fixture.js';

const task = enumeratedTask(1);
const settings = { ...quickSettings, iterations: 120 };

describe('PPO on rollouts of earlier policies', () => {
  it('lands near the exact optimum, three updates behind', { timeout: 240_000 }, () => {
    const staleness = 3;
    const beta = 1;
    const training = { algorithm: 'ppo', settings, klStrength: { beta }, rolloutsPerPrompt: 128, seed: 1 } as const;
    const { learner, policy } = learnerOf(task, training);
    const sample = (iteration: number) => sampledRollouts(task, policy, identityTransformation, training, iteration);
    // What is learned from is what was sampled three updates before, under the version of then.
    const ahead = Array.from({ length: staleness }, (_, index) =>
      sample(index).map((rollout) => {
        rollout.scored!.rollout!.policyVersion = 0;
        return rollout;
      }),
    );
    while (learner.iteration < settings.iterations) {
      ahead.push(sample(learner.iteration));
      learner.learn(ahead.shift()!);
    }
    const probabilities = responseProbabilities(policy);
    const optimum = optimalProbabilities(task, identityTransformation, beta);
    expect(Math.abs(exactKl(task, probabilities) - exactKl(task, optimum))).toBeLessThan(0.03);
    const winRates = [probabilities, optimum].map((table) => exactBestOfNWinRate(task, table, 1));
    expect(Math.abs(winRates[0]! - winRates[1]!)).toBeLessThan(0.02);
  });
});
