import '@tensorflow/tfjs-node';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { eagerArithmetic as math } from '@infalign/language-model';
import { bothGradients } from './finite-differences.fixture.js';
import { crossEntropyLoss, preferenceLoss } from './losses.js';

const value = (scalar: tf.Tensor) => scalar.dataSync()[0]!;

describe('preferenceLoss', () => {
  it('equals −log σ of the margin', () => {
    const loss = preferenceLoss(math, tf.tensor1d([1, 0]), tf.tensor1d([0, 0.5]));
    expect(value(loss)).toBeCloseTo((Math.log1p(Math.exp(-1)) + Math.log1p(Math.exp(0.5))) / 2, 6);
  });

  it('neither overflows nor vanishes at large margins', () => {
    expect(value(preferenceLoss(math, tf.tensor1d([-500]), tf.tensor1d([500])))).toBeCloseTo(1000, 3);
    const tiny = value(preferenceLoss(math, tf.tensor1d([15]), tf.tensor1d([0])));
    expect(tiny / Math.exp(-15)).toBeCloseTo(1, 3);
  });

  it('has the gradient of finite differences, also for a tie', () => {
    const rejected = tf.tensor1d([0, 0.5, 0]);
    const { autodiff, differences } = bothGradients((x) => preferenceLoss(math, x, rejected), [1, -1, 0.3]);
    autodiff.forEach((each, i) => expect(each).toBeCloseTo(differences[i]!, 3));
    const atTie = bothGradients((x) => preferenceLoss(math, x, tf.tensor1d([0.3])), [0.3]);
    expect(atTie.autodiff[0]).toBeCloseTo(-0.5, 6);
  });
});

describe('crossEntropyLoss', () => {
  it('is the mean negative log-probability', () => {
    expect(value(crossEntropyLoss(math, tf.tensor1d([-1, -3])))).toBeCloseTo(2, 6);
  });
});
