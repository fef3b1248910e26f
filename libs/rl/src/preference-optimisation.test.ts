import '@tensorflow/tfjs-node';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { eagerArithmetic as math } from '@infalign/language-model';
import { bothGradients } from './finite-differences.fixture.js';
import { bestOfMargin, bonbonLoss, dpoLoss, ipoLoss } from './preference-optimisation.js';

const value = (scalar: tf.Tensor) => scalar.dataSync()[0]!;
const references = { chosenReference: tf.tensor1d([-3, -2]), rejectedReference: tf.tensor1d([-2.5, -4]) };
const rejected = tf.tensor1d([-3, -3]);

describe('dpoLoss', () => {
  it('is −log σ of β times the difference of log-ratios', () => {
    const responses = { chosen: tf.tensor1d([-2, -2.5]), rejected, ...references };
    // Log-ratios: 1 against −0.5, and −0.5 against 1.
    const expected = (Math.log1p(Math.exp(-0.4 * 1.5)) + Math.log1p(Math.exp(2 * 1.5))) / 2;
    expect(value(dpoLoss(math, responses, tf.tensor1d([0.4, 2])))).toBeCloseTo(expected, 6);
  });

  it('has the gradient of finite differences', () => {
    const beta = tf.tensor1d([0.4, 2]);
    const { autodiff, differences } = bothGradients(
      (chosen) => dpoLoss(math, { chosen, rejected, ...references }, beta),
      [-2, -2.5],
    );
    autodiff.forEach((each, i) => expect(each).toBeCloseTo(differences[i]!, 3));
  });
});

describe('ipoLoss', () => {
  it('is the squared distance of the difference of log-ratios from its margin', () => {
    const responses = { chosen: tf.tensor1d([-2, -2.5]), rejected, ...references };
    expect(value(ipoLoss(math, responses, tf.tensor1d([1, 0.25])))).toBeCloseTo((0.5 ** 2 + 1.75 ** 2) / 2, 5);
  });
});

describe('bonbonLoss', () => {
  it('adds a little likelihood of the best', () => {
    const responses = { chosen: tf.tensor1d([-2, -2.5]), rejected, ...references };
    const margin = tf.tensor1d([1, 0.25]);
    expect(value(bonbonLoss(math, responses, margin))).toBeCloseTo(
      0.005 * 2.25 + 0.995 * value(ipoLoss(math, responses, margin)),
      5,
    );
  });

  it('has the margin that integration finds between the best and the worst of n', () => {
    // E[ln(n·max^(n−1)) − ln(n·min^(n−1))] over n uniform numbers: E[ln max] = −1/n, E[ln min] = −(1 + 1/2 + … + 1/n).
    for (const n of [2, 3, 8]) {
      const steps = 200_000;
      let sum = 0;
      for (let i = 0; i < steps; i++) {
        const u = (i + 0.5) / steps;
        sum += ((n - 1) * Math.log(u) * (n * u ** (n - 1) - n * (1 - u) ** (n - 1))) / steps;
      }
      expect(bestOfMargin(n), `${n}`).toBeCloseTo(sum, 3);
    }
  });
});
