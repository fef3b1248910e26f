import '@tensorflow/tfjs-node';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { eagerArithmetic as math } from '@infalign/language-model';
import { bothGradients } from './finite-differences.fixture.js';
import { groupRelativeAdvantages, groupRelativeLoss, policyGradientLoss } from './policy-gradient.js';

const value = (scalar: tf.Tensor) => scalar.dataSync()[0]!;

describe('policyGradientLoss', () => {
  it('has the weights, over the number of tokens, as its gradient', () => {
    const weights = [1, -2, 0.5];
    const { autodiff } = bothGradients(
      (logProbs) => policyGradientLoss(math, logProbs, tf.tensor1d(weights)),
      [-1, -2, -3],
    );
    autodiff.forEach((each, i) => expect(each).toBeCloseTo(-weights[i]! / 3, 6));
  });
});

describe('groupRelativeLoss', () => {
  const tokens = (beta: number) => ({
    oldLogProbs: tf.tensor1d([-1, -2]),
    referenceLogProbs: tf.tensor1d([-1.5, -2]),
    advantages: tf.tensor1d([1, -1]),
    responseWeights: tf.tensor1d([0.5, 2]),
    beta: tf.tensor1d([beta, beta]),
  });

  it('clips as PPO does, weighs responses, and adds β times k3', () => {
    const logProbs = tf.tensor1d([-0.5, -2]);
    const k3 = Math.exp(-1) - 1 + 1;
    // The first ratio, e^0.5, is clipped to 1.2 as its advantage is positive.
    const expected = (0.5 * (-1.2 + 0.3 * k3) + 2 * (1 + 0)) / 2;
    expect(value(groupRelativeLoss(math, logProbs, tokens(0.3), 0.2))).toBeCloseTo(expected, 6);
  });

  it('has the gradient of finite differences', () => {
    const { autodiff, differences } = bothGradients((x) => groupRelativeLoss(math, x, tokens(0.7), 0.2), [-1.05, -2.1]);
    autodiff.forEach((each, i) => expect(each).toBeCloseTo(differences[i]!, 3));
  });
});

describe('groupRelativeAdvantages', () => {
  it('have mean 0 and variance 1, whatever the scale of the rewards', () => {
    expect(groupRelativeAdvantages([1, 3])).toEqual([-1, 1]);
    expect(groupRelativeAdvantages([100, 300, 100, 300])).toEqual([-1, 1, -1, 1]);
  });

  it('are 0 where rewards are equal, also where their sum has to be rounded', () => {
    for (const reward of [2, 0.1, Math.sqrt(3)]) {
      for (const count of [1, 3, 16]) {
        expect(groupRelativeAdvantages(Array(count).fill(reward))).toEqual(Array(count).fill(0));
      }
    }
  });
});
