import '@tensorflow/tfjs-node';
import * as tf from '@tensorflow/tfjs-core';
import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { initialWeights, type LanguageModelConfig, type Weights } from '../definition.js';
import type { Sequence, TrainingOutputs } from '../language-model.js';
import { createEagerModel } from './eager-model.js';
import { adamStep, createTrainer } from './eager-trainer.js';

const config: LanguageModelConfig = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 2,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 16,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};
const sequences: Sequence[] = [
  { promptTokens: [3, 5], responseTokens: [2, 9, 1] },
  { promptTokens: [4], responseTokens: [6, 6, 7, 8] },
];
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const step = { learningRate: 1e-3, maxGradientNorm: Infinity, temperature: 0.8 };

function lively(): Weights {
  const random = seededRandom('trainer');
  return new Map(
    [...initialWeights(config, ['language-model', 'value', 'reward'], 1)].map(([name, { shape, data }]) => [
      name,
      { shape, data: data.map((value) => (shape.length === 1 ? value : 0) + 0.4 * random.normal()) },
    ]),
  );
}

/** A loss in which every output has a different say. */
const loss = (outputs: TrainingOutputs): tf.Scalar => {
  const logProbs = outputs.logProbs();
  const weighted = tf.sum(tf.mul(logProbs, tf.linspace(-1, 0.5, logProbs.shape[0])));
  const values = tf.sum(tf.square(tf.sub(outputs.values(), 0.3)));
  return tf.add(tf.add(weighted, values), tf.sum(tf.mul(outputs.rewards(), tf.tensor1d([1, -2])))) as tf.Scalar;
};

describe('the trainer', () => {
  it('has the gradients that finite differences have, for every weight', () => {
    const weights = lively();
    const model = createEagerModel(config, weights);
    const lossAt = (changed: Weights): number => {
      const other = createEagerModel(config, changed);
      const value = createTrainer(other, adam).step(sequences, loss, { ...step, learningRate: 0 }).loss;
      other.dispose();
      return value;
    };
    // With one step of β₁ = β₂ = 0 and a huge ε, Adam moves each weight by its gradient times η/ε.
    const trainer = createTrainer(model, { beta1: 0, beta2: 0, epsilon: 1e6 });
    trainer.step(sequences, loss, { ...step, learningRate: 1e6 * 1e-3 });
    const moved = model.weights();
    const random = seededRandom('places');
    for (const [name, { shape, data }] of weights) {
      for (let trial = 0; trial < 2; trial++) {
        const index = random.integer(data.length);
        const at = (change: number): number => {
          const copy = data.slice();
          copy[index]! += change;
          return lossAt(new Map([...weights, [name, { shape, data: copy }]]));
        };
        const expected = (at(1e-2) - at(-1e-2)) / 2e-2;
        const gradient = (data[index]! - moved.get(name)!.data[index]!) / 1e-3;
        expect(Math.abs(gradient - expected), `${name}[${index}]`).toBeLessThan(0.02 + 0.02 * Math.abs(expected));
      }
    }
    model.dispose();
  });

  it('takes two steps of Adam as worked out by hand', () => {
    const weights = Float32Array.of(1);
    const [first, second] = [new Float32Array(1), new Float32Array(1)];
    const settings = { ...adam, learningRate: 0.1, scale: 0.5 };
    adamStep(weights, Float32Array.of(2), first, second, { ...settings, step: 1 });
    // g = 1: m = 0.1, v = 0.001; corrected both to 1: the step is η.
    expect(weights[0]).toBeCloseTo(0.9, 6);
    adamStep(weights, Float32Array.of(-4), first, second, { ...settings, step: 2 });
    // g = −2: m = 0.09 − 0.2 = −0.11, v = 0.000999 + 0.004 = 0.004999; m̂ = −0.11/0.19, v̂ = 0.004999/0.001999.
    expect(weights[0]).toBeCloseTo(0.9 + (0.1 * (0.11 / 0.19)) / Math.sqrt(0.004999 / 0.001999), 5);
  });

  it('clips gradients to their global norm, and reports the norm before', () => {
    const [a, b] = [createEagerModel(config, lively()), createEagerModel(config, lively())];
    const settings = { beta1: 0, beta2: 0, epsilon: 1e6 };
    const free = createTrainer(a, settings).step(sequences, loss, { ...step, learningRate: 1e3 });
    const clipped = createTrainer(b, settings).step(sequences, loss, {
      ...step,
      learningRate: 1e3,
      maxGradientNorm: 0.5,
    });
    expect(clipped.gradientNorm).toBeCloseTo(free.gradientNorm, 5);
    let squares = 0;
    for (const [name, { data }] of lively()) {
      b.weights()
        .get(name)!
        .data.forEach((value, index) => (squares += ((data[index]! - value) / 1e-3) ** 2));
    }
    expect(Math.sqrt(squares)).toBeCloseTo(0.5, 2);
    a.dispose();
    b.dispose();
  });

  it('learns, frees its tensors, and goes on from its state to the same bytes', () => {
    const negative = (outputs: TrainingOutputs): tf.Scalar => tf.neg(tf.mean(outputs.logProbs()));
    const model = createEagerModel(config, lively());
    const trainer = createTrainer(model, adam);
    const fast = { ...step, learningRate: 0.02 };
    const first = trainer.step(sequences, negative, fast).loss;
    const tensors = tf.memory().numTensors;
    for (let index = 0; index < 10; index++) trainer.step(sequences, negative, fast);
    const [weights, state] = [model.weights(), trainer.optimiserState()];
    const resumed = createEagerModel(config, weights);
    const resumedTrainer = createTrainer(resumed, adam);
    resumedTrainer.load(state);
    const last = trainer.step(sequences, negative, fast).loss;
    resumedTrainer.step(sequences, negative, fast);
    expect(last).toBeLessThan(0.6 * first);
    expect(resumed.weights()).toEqual(model.weights());
    resumed.dispose();
    expect(tf.memory().numTensors).toBe(tensors);
    model.dispose();
  });

  it('says that training diverged, and leaves the weights alone', () => {
    const model = createEagerModel(config, lively());
    const before = model.weights();
    const infinite = (outputs: TrainingOutputs): tf.Scalar => tf.div(tf.mean(outputs.logProbs()), 0);
    expect(() => createTrainer(model, adam).step(sequences, infinite, step)).toThrow(/diverged.*learning rate/);
    expect(model.weights()).toEqual(before);
    model.dispose();
  });
});
