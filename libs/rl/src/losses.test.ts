import '@tensorflow/tfjs-node';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { createLanguageModel, eagerArithmetic as math, initialWeights } from '@infalign/language-model';
import { bothGradients } from './finite-differences.fixture.js';
import { binaryCrossEntropyLoss, crossEntropyLoss, preferenceLoss } from './losses.js';

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

it('a reward model, whose head begins at zero, learns which responses are preferred', () => {
  const config = {
    vocabSize: 7,
    hiddenSize: 8,
    intermediateSize: 12,
    layers: 1,
    heads: 2,
    keyValueHeads: 1,
    maxPositions: 8,
    ropeTheta: 100,
    rmsNormEpsilon: 1e-5,
    tieWordEmbeddings: true,
    eosTokenId: 0,
  };
  const model = createLanguageModel(config, initialWeights(config, ['reward'], 1));
  const trainer = model.trainer(
    {
      inputs: {},
      compute(arithmetic, outputs) {
        const { chosen, rejected } = outputs.preferences();
        return { loss: preferenceLoss(arithmetic, chosen, rejected) };
      },
    },
    { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 },
  );
  const [chosen, rejected] = [
    { promptTokens: [1], responseTokens: [2, 3] },
    { promptTokens: [1], responseTokens: [4, 5, 6] },
  ];
  const settings = { learningRate: 0.02, maxGradientNorm: 1, temperature: 1 };
  const losses = Array.from({ length: 40 }, () => trainer.step([chosen, rejected], {}, settings).loss);
  expect(losses[0]).toBeCloseTo(Math.LN2, 6);
  expect(losses.at(-1)).toBeLessThan(0.1);
  const [better, worse] = model.rewards([chosen, rejected]);
  expect(better! - worse!).toBeGreaterThan(2);
  model.dispose();
});

describe('binaryCrossEntropyLoss', () => {
  it('is the cross-entropy of σ(z) with targets between 0 and 1', () => {
    const [a, b] = [1 / (1 + Math.exp(-2)), 1 / (1 + Math.exp(0.5))];
    const expected = -(0.3 * Math.log(a) + 0.7 * Math.log(1 - a) + Math.log(b)) / 2;
    expect(value(binaryCrossEntropyLoss(math, tf.tensor1d([2, -0.5]), tf.tensor1d([0.3, 1])))).toBeCloseTo(expected, 6);
  });

  it('neither overflows nor vanishes at large logits', () => {
    expect(value(binaryCrossEntropyLoss(math, tf.tensor1d([-900]), tf.tensor1d([1])))).toBeCloseTo(900, 3);
    const tiny = value(binaryCrossEntropyLoss(math, tf.tensor1d([-15]), tf.tensor1d([0])));
    expect(tiny / Math.exp(-15)).toBeCloseTo(1, 3);
  });

  it('has the gradient σ(z) − y', () => {
    const targets = [0.2, 1, 0.5];
    const { autodiff } = bothGradients((x) => binaryCrossEntropyLoss(math, x, tf.tensor1d(targets)), [0, -1, 3]);
    [0.5 - 0.2, 1 / (1 + Math.E) - 1, 1 / (1 + Math.exp(-3)) - 0.5].forEach((each, i) =>
      expect(autodiff[i]).toBeCloseTo(each / 3, 6),
    );
  });
});

describe('crossEntropyLoss', () => {
  it('is the mean negative log-probability', () => {
    expect(value(crossEntropyLoss(math, tf.tensor1d([-1, -3])))).toBeCloseTo(2, 6);
  });
});
