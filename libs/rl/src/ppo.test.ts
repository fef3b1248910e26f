import '@tensorflow/tfjs-node';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { eagerArithmetic as math } from '@infalign/language-model';
import { bothGradients } from './finite-differences.fixture.js';
import { clippedPolicyLoss, clippedValueLoss, clipFraction } from './ppo.js';

const value = (scalar: tf.Tensor) => scalar.dataSync()[0]!;

describe('clippedPolicyLoss', () => {
  it('equals the four cases of clipping worked by hand', () => {
    // ρ = 1.5, 0.5, 1.5, 0.5 with A = 1, 1, −1, −1: −min(ρA, clip(ρ)A) = −1.2, −0.5, 1.5, 0.8
    const logProbs = tf.tensor1d([1.5, 0.5, 1.5, 0.5].map(Math.log));
    const loss = clippedPolicyLoss(math, logProbs, tf.zeros([4]), tf.tensor1d([1, 1, -1, -1]), 0.2);
    expect(value(loss)).toBeCloseTo((-1.2 - 0.5 + 1.5 + 0.8) / 4, 6);
  });

  it('has the policy gradient −A/n where the policy has not moved', () => {
    const old = [-1, -2, -0.1];
    const { autodiff } = bothGradients(
      (x) => clippedPolicyLoss(math, x, tf.tensor1d(old), tf.tensor1d([2, -1, 0.5]), 0.2),
      old,
    );
    [-2 / 3, 1 / 3, -0.5 / 3].forEach((expected, i) => expect(autodiff[i]).toBeCloseTo(expected, 6));
  });

  it('has the gradient of finite differences, and none where the clip binds', () => {
    const old = tf.tensor1d([0, 0, 0, 0, 0]);
    const advantages = tf.tensor1d([1, 1, -1, -1, 2]);
    const { autodiff, differences } = bothGradients(
      (x) => clippedPolicyLoss(math, x, old, advantages, 0.2),
      [0.5, -0.5, 0.5, -0.5, 0.1],
    );
    autodiff.forEach((each, i) => expect(each).toBeCloseTo(differences[i]!, 3));
    expect(autodiff[0]).toBe(0);
    expect(autodiff[3]).toBe(0);
  });
});

describe('clippedValueLoss', () => {
  it('equals the pessimistic square worked by hand', () => {
    // (V, old, G): (1, 0, 2) → clipped .2: max(1, 3.24); (.1, 0, 0) → not clipped: .01; (−1, 0, −2) → −.2: 3.24
    const loss = clippedValueLoss(math, tf.tensor1d([1, 0.1, -1]), tf.zeros([3]), tf.tensor1d([2, 0, -2]), 0.2);
    expect(value(loss)).toBeCloseTo((0.5 * (3.24 + 0.01 + 3.24)) / 3, 6);
  });

  it('has the gradient of finite differences', () => {
    const { autodiff, differences } = bothGradients(
      (x) => clippedValueLoss(math, x, tf.tensor1d([0, 0, 0, 0]), tf.tensor1d([2, 0, -2, 1]), 0.2),
      [0.1, -0.05, 1.5, 3],
    );
    autodiff.forEach((each, i) => expect(each).toBeCloseTo(differences[i]!, 3));
  });
});

describe('clipFraction', () => {
  it('is the share of tokens that moved beyond the clip range, worked by hand', () => {
    const fraction = (ratios: readonly number[]): number =>
      value(clipFraction(math, tf.tensor1d(ratios.map(Math.log)), tf.zeros([ratios.length]), 0.2));
    expect(fraction([1.5, 1, 1.1, 0.7])).toBe(0.5);
    expect(fraction([1.19, 0.81])).toBe(0);
    expect(fraction([1, 1])).toBe(0);
  });
});
