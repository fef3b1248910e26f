import { Purpose } from '@infalign/contracts';
import { bestOfMargin } from '@infalign/rl';
import { describe, expect, it } from 'vitest';
import type { LearningAlgorithm } from './algorithm.js';
import { bonbon, dpo, ipo, rebel } from './preferences.js';

/** Rollouts of one prompt with these rewards, as an algorithm pairs them: the place of the better one and of the worse, and the strength. */
function pairsOf(algorithm: LearningAlgorithm, rewards: readonly number[], beta: number): number[][] {
  const rollouts = rewards.map((rawReward, place) => ({
    sequence: {
      rolloutId: String(place),
      runId: 'pairs',
      promptId: 'one',
      purpose: Purpose.PURPOSE_TRAINING,
      policyVersion: 0,
      sampleIndex: place,
      batchId: '0',
      batchRollouts: rewards.length,
      seed: 1,
      promptTokens: [1],
      responseTokens: [2],
      logProbs: [-1],
      ended: true,
      temperature: 1,
    },
    rawReward,
    calibratedReward: 0.5,
    transformedReward: rawReward ** 2,
  }));
  const logProbs = rewards.map(() => [-1]);
  const iteration = {
    rollouts,
    logProbs,
    referenceLogProbs: logProbs,
    importanceWeights: undefined,
    values: undefined,
  };
  return algorithm.examples({ ...iteration, beta }).map(({ sequences, inputs }) => {
    const places = sequences.map((sequence) => rollouts.findIndex((rollout) => rollout.sequence === sequence));
    return [...places, inputs['strength']![0]![0]!];
  });
}

const rewards = [1, 2, 3, 3, 5, 4];

describe('algorithms that compare rollouts', () => {
  it('put the better of two first; IPO holds two that tie together, and DPO leaves them out', () => {
    expect(pairsOf(ipo(), rewards, 0.25)).toEqual([
      [1, 0, 2],
      [2, 3, 0],
      [4, 5, 2],
    ]);
    expect(pairsOf(dpo(), rewards, 0.25)).toEqual([
      [1, 0, 0.25],
      [4, 5, 0.25],
    ]);
  });

  it('hold two to the difference of their transformed rewards over β in REBEL', () => {
    expect(pairsOf(rebel(), rewards, 0.5)).toEqual([
      [1, 0, (4 - 1) / 0.5],
      [2, 3, 0],
      [4, 5, (25 - 16) / 0.5],
    ]);
  });

  it('take the best and the worst of n in BoNBoN, unless all tie', () => {
    expect(pairsOf(bonbon(), [2, 1, 1, 7, 7, 7], 0.5)).toEqual([[0, 1, bestOfMargin(3)]]);
  });
});
