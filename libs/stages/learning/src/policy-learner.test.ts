import '@tensorflow/tfjs-node';
import { memory } from '@tensorflow/tfjs-core';
import type { CalibratedRollout } from '@infalign/contracts';
import { identityTransformation, InputError } from '@infalign/core';
import type { LanguageModel } from '@infalign/language-model';
import { describe, expect, it } from 'vitest';
import { enumeratedTask, learnerOf, sampledRollouts, type Training } from './enumeration.fixture.js';
import { quickSettings, type AllSettings } from './learning-settings.fixture.js';
import type { PolicyLearner } from './policy-learner.js';

const task = enumeratedTask(2);
const settings: AllSettings = { ...quickSettings, iterations: 8, epochs: 2, advantages: 'value' };
const training: Training = {
  algorithm: 'ppo',
  settings,
  klStrength: { targetKl: 0.3, initialBeta: 1 },
  rolloutsPerPrompt: 16,
  seed: 5,
};

const rolloutsFor = (policy: LanguageModel, iteration: number) =>
  sampledRollouts(task, policy, identityTransformation, training, iteration);

function learn({ learner, policy }: { learner: PolicyLearner; policy: LanguageModel }, iterations: number) {
  return Array.from({ length: iterations }, () => learner.learn(rolloutsFor(policy, learner.iteration)));
}

function altered(rollouts: CalibratedRollout[], index: number, change: (rollout: CalibratedRollout) => void) {
  const copy = structuredClone(rollouts);
  change(copy[index]!);
  return copy;
}

describe('createPolicyLearner', () => {
  it('gives the same bytes and statistics for the same seed, and others for another', () => {
    const [one, same, other] = [training, training, { ...training, seed: 6 }].map((each) => learnerOf(task, each));
    const statistics = learn(one!, 2);
    expect(learn(same!, 2)).toEqual(statistics);
    expect(same!.learner.snapshot()).toEqual(one!.learner.snapshot());
    expect(learn(other!, 2)).not.toEqual(statistics);
  });

  it('goes on from a snapshot, in a new learner, as it would have without a break', () => {
    const unbroken = learnerOf(task, training);
    learn(unbroken, 3);
    const snapshot = unbroken.learner.snapshot();
    const rest = learn(unbroken, 2);

    const resumed = learnerOf(task, training);
    resumed.learner.restore(snapshot);
    expect(resumed.learner.iteration).toBe(3);
    expect(learn(resumed, 2)).toEqual(rest);
    expect(resumed.learner.snapshot()).toEqual(unbroken.learner.snapshot());
  });

  it('goes on from a snapshot with its critic', () => {
    const withCritic = { ...training, settings: { ...settings, advantages: 'critic' as const } };
    const unbroken = learnerOf(task, withCritic);
    learn(unbroken, 2);
    const snapshot = unbroken.learner.snapshot();
    const rest = learn(unbroken, 2);
    expect(rest.every(({ valueLoss }) => valueLoss > 0)).toBe(true);
    const resumed = learnerOf(task, withCritic);
    resumed.learner.restore(snapshot);
    expect(learn(resumed, 2)).toEqual(rest);
    expect(resumed.learner.snapshot()).toEqual(unbroken.learner.snapshot());
  });

  it('begins with a β in standard deviations of rewards whose scale is not known', () => {
    const strength = { targetKl: 0.3, initialBeta: 1.3 };
    const beta = (scale: number, perDeviation: boolean): number => {
      const { learner, policy } = learnerOf(task, { ...training, klStrength: { ...strength, perDeviation } });
      const rollouts = rolloutsFor(policy, 0);
      for (const rollout of rollouts) rollout.transformedReward *= scale;
      return learner.learn(rollouts).beta;
    };
    expect(beta(40, true) / beta(1, true)).toBeCloseTo(40, 6);
    expect(beta(40, false)).toBe(beta(1, false));
  });

  it('does not change a snapshot by learning on', () => {
    const pair = learnerOf(task, training);
    learn(pair, 1);
    const snapshot = pair.learner.snapshot();
    const copy = structuredClone(snapshot);
    learn(pair, 1);
    expect(snapshot).toEqual(copy);
  });

  it('reports what the rollouts were and how it moved', () => {
    const { learner, policy } = learnerOf(task, training);
    const rollouts = rolloutsFor(policy, 0);
    const statistics = learner.learn(rollouts);
    const mean = (value: (rollout: CalibratedRollout) => number) =>
      rollouts.reduce((total, rollout) => total + value(rollout), 0) / rollouts.length;
    expect(statistics.iteration).toBe(1);
    expect(statistics.rollouts).toBe(32);
    expect(statistics.meanReward).toBeCloseTo(
      mean((rollout) => rollout.scored!.reward!.reward),
      10,
    );
    expect(statistics.meanCalibratedReward).toBeCloseTo(
      mean((rollout) => rollout.calibratedReward),
      10,
    );
    expect(statistics.meanTransformedReward).toBeCloseTo(
      mean((rollout) => rollout.transformedReward),
      10,
    );
    expect(statistics.responseTokens).toBeCloseTo(
      mean((rollout) => rollout.scored!.rollout!.responseTokens.length),
      10,
    );
    // The policy has not moved yet when its first rollouts are drawn.
    expect(statistics.kl).toBeCloseTo(0, 5);
    expect(statistics.valueLoss).toBeGreaterThan(0);
    expect(statistics.gradientNorm).toBeGreaterThan(0);
  });

  it('uses the β it is given, or moves β towards its target', () => {
    const fixed = learnerOf(task, { ...training, klStrength: { beta: 0.7 } });
    expect(learn(fixed, 2).map((statistics) => statistics.beta)).toEqual([0.7, 0.7]);
    const last = (targetKl: number) =>
      learn(learnerOf(task, { ...training, klStrength: { targetKl, initialBeta: 1 } }), 4).at(-1)!.beta;
    expect(last(0.01)).toBeGreaterThan(1.5);
    expect(last(5)).toBeLessThan(0.9);
  });

  it('begins with a share of the learning rate, that of the first of the iterations in which it rises', () => {
    const largestMove = (iterations: number) => {
      const once = { ...settings, iterations, epochs: 1, minibatches: 1 };
      const pair = learnerOf(task, { ...training, settings: once });
      learn(pair, 1);
      const moves = [...pair.policy.weights()].flatMap(([name, { data }]) =>
        Array.from(data, (weight, index) => Math.abs(weight - (task.weights.get(name)?.data[index] ?? weight))),
      );
      return moves.reduce((largest, move) => Math.max(largest, move), 0);
    };
    // Adam's first step moves each weight by about the learning rate.
    expect(largestMove(9) / settings.learningRate).toBeCloseTo(1, 1);
    expect(largestMove(40) / settings.learningRate).toBeCloseTo(1 / 4, 1);
  });

  it('steers by the KL of the policy as it is, also where its rollouts are of an earlier one', () => {
    const steered = (targetKl: number) =>
      learnerOf(task, {
        ...training,
        klStrength: { targetKl, initialBeta: 1 },
        settings: { ...settings, learningRate: 0.02 },
      });
    const pair = steered(0.02);
    const early = rolloutsFor(pair.policy, 0);
    pair.learner.learn(early);
    const stale = learnerOf(task, training);
    stale.learner.restore(pair.learner.snapshot());
    stale.learner.learn(early);
    pair.learner.learn(rolloutsFor(pair.policy, 1));
    const [ofStale, ofFresh] = [stale, pair].map(({ learner }) => learner.snapshot().targetKl!.smoothedKl!);
    expect(ofFresh).toBeGreaterThan(0.005);
    expect(Math.abs(ofStale! / ofFresh! - 1)).toBeLessThan(0.5);
  });

  it('moves the policy away from the reference or towards it at the end, as its target asks', () => {
    const of = (targetKl: number, learningRate: number): Training => ({
      ...training,
      klStrength: { targetKl, initialBeta: 1 },
      settings: { ...settings, iterations: 2, learningRate },
    });
    const displacements = (pair: { policy: LanguageModel }) =>
      [...task.weights].map(([name, { data }]) => {
        const moved = pair.policy.weights().get(name)!.data;
        return moved.map((weight, index) => weight - data[index]!);
      });
    for (const [targetKl, scale] of [
      [50, 1.25],
      [1e-6, 0.8],
    ] as const) {
      const pair = learnerOf(task, of(targetKl, 3e-3));
      learn(pair, 1);
      const last = learnerOf(task, of(targetKl, 0));
      last.learner.restore(pair.learner.snapshot());
      learn(last, 1);
      const before = displacements(pair);
      displacements(last).forEach((moved, tensor) => {
        moved.forEach((value, index) => expect(Math.abs(value - scale * before[tensor]![index]!)).toBeLessThan(1e-6));
      });
    }
  });

  it('moves what adapters add by one of their factors', () => {
    const of = (learningRate: number): Training => ({
      ...training,
      klStrength: { targetKl: 50, initialBeta: 1 },
      settings: { ...settings, iterations: 2, learningRate },
      adapters: { rank: 2, alpha: 2, targets: ['v_proj', 'lm_head'] },
    });
    const pair = learnerOf(task, of(3e-3));
    learn(pair, 1);
    const last = learnerOf(task, of(0));
    last.learner.restore(pair.learner.snapshot());
    learn(last, 1);
    const moved = last.policy.weights();
    const adapters = [...pair.policy.weights()].filter(([name]) => name.includes('.lora_'));
    expect(adapters).toHaveLength(6);
    for (const [name, { data }] of adapters) {
      const scale = name.endsWith('lora_B.weight') ? 1.25 : 1;
      const expected = data.map((value) => scale * value);
      expect(moved.get(name)!.data, name).toEqual(expected);
      expect(expected.some((value) => value !== 0)).toBe(true);
    }
  });

  it('leaves the policy alone at a learning rate of zero', () => {
    const pair = learnerOf(task, { ...training, settings: { ...settings, learningRate: 0 } });
    learn(pair, 1);
    expect(pair.policy.weights()).toEqual(task.weights);
  });

  it('keeps no tensors', () => {
    const pair = learnerOf(task, training);
    learn(pair, 1);
    const before = memory().numTensors;
    learn(pair, 2);
    expect(memory().numTensors).toBe(before);
  });

  it('refuses what it cannot learn from, naming the rollout and the remedy', () => {
    const { learner, policy } = learnerOf(task, training);
    const rollouts = rolloutsFor(policy, 0);
    const refused = (records: CalibratedRollout[], message: RegExp, by = learner) => {
      expect(() => by.learn(records)).toThrow(InputError);
      expect(() => by.learn(records)).toThrow(message);
    };
    refused([], /no calibrated rollouts/);
    refused(
      altered(rollouts, 3, (rollout) => (rollout.scored = undefined)),
      /rollout 3 lacks/,
    );
    refused(
      altered(rollouts, 3, (rollout) => (rollout.transformedReward = Number.NaN)),
      /0\/3 has .* NaN/,
    );
    refused(
      altered(rollouts, 3, (rollout) => (rollout.scored!.rollout!.temperature = 1)),
      /0\/3 .*temperature 1/,
    );
    refused(
      altered(rollouts, 3, (rollout) => rollout.scored!.rollout!.logProbs.pop()),
      /0\/3 has \d response tokens/,
    );
    const againstOthers = learnerOf(task, { ...training, settings: { ...settings, advantages: 'leave_one_out' } });
    refused(rollouts.slice(0, 17), /Prompt 1 has a single rollout/, againstOthers.learner);
    expect(againstOthers.policy.weights()).toEqual(task.weights);
  });
});
