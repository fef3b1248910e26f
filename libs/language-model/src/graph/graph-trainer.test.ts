import * as tf from '@tensorflow/tfjs-node';
import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { initialWeights, type LanguageModelConfig, type Weights } from '../definition.js';
import type { Loss, OptimiserState, Sequence } from '../language-model.js';
import { createGraphModel } from './graph-model.js';

const config: LanguageModelConfig = {
  vocabSize: 13,
  hiddenSize: 16,
  intermediateSize: 20,
  layers: 3,
  heads: 4,
  keyValueHeads: 2,
  maxPositions: 24,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};
const adapted: LanguageModelConfig = { ...config, adapters: { rank: 2, alpha: 3, targets: ['q_proj', 'up_proj'] } };
/** With β₁ = 0 the first moment is the clipped gradient. */
const adam = { beta1: 0, beta2: 0.999, epsilon: 1e-8 };
const settings = { learningRate: 1e-3, maxGradientNorm: Infinity, temperature: 0.9 };

function weightsOf(model: LanguageModelConfig): Weights {
  return new Map(
    [...initialWeights(model, ['language-model', 'value', 'reward'], 1)].map(([name, { shape, data }]) => {
      const random = seededRandom('weights', name);
      return [name, { shape, data: data.map((value) => value + 0.3 * random.normal()) }];
    }),
  );
}

/** Sequences of many lengths, of which three share a prompt here and there. */
const sequences: readonly Sequence[] = Array.from({ length: 12 }, (_, index) => {
  const tokens = (seed: string, part: number): number[] => {
    const random = seededRandom(seed, part);
    return Array.from({ length: 1 + random.integer(9) }, () => random.integer(config.vocabSize));
  };
  return { promptTokens: tokens('prompt', index % 5), responseTokens: tokens('response', index) };
});
const tokenCount = sequences.reduce((sum, { responseTokens }) => sum + responseTokens.length, 0);

/** Means over tokens and over sequences, of a non-linear function of each. */
const mixedLoss: Loss<'targets' | 'weights', 'surprise' | 'reward'> = {
  inputs: { targets: 'response token', weights: 'sequence' },
  compute(math, { logProbs, values, rewards }, { targets, weights }) {
    const error = math.mean(math.square(math.subtract(values(), targets)));
    const surprise = math.negative(math.mean(math.exponential(logProbs())));
    const reward = math.mean(math.multiply(math.square(rewards()), weights));
    return { loss: math.add(math.subtract(surprise, math.multiply(0.5, error)), reward), surprise, reward };
  },
};
const inputs = {
  targets: Float32Array.from({ length: tokenCount }, (_, index) => Math.cos(index)),
  // All above 0: nothing cancels, so that rounding stays small beside what comes out.
  weights: Float32Array.from({ length: sequences.length }, (_, index) => 1.5 + Math.sin(index)),
};
const preferenceLoss: Loss = {
  inputs: {},
  compute(math, outputs) {
    const { chosen, rejected } = outputs.preferences();
    return { loss: math.mean(math.logarithmOfOnePlus(math.exponential(math.subtract(rejected, chosen)))) };
  },
};

interface Step {
  readonly numbers: Readonly<Record<string, number>>;
  readonly state: OptimiserState;
}

/** One step from rest, in passes of a size. */
function stepOf<Input extends string>(
  loss: Loss<Input, string>,
  given: Readonly<Record<Input, Float32Array>>,
  {
    passBytes,
    lanes = 1,
    model = config,
    maxGradientNorm = Infinity,
  }: { passBytes: number; lanes?: number; model?: LanguageModelConfig; maxGradientNorm?: number },
): Step {
  const held = createGraphModel(model, weightsOf(model), { passBytes, lanes });
  try {
    const trainer = held.trainer(loss, adam);
    const numbers = trainer.step(sequences, given, { ...settings, maxGradientNorm });
    return { numbers, state: trainer.optimiserState() };
  } finally {
    held.dispose();
  }
}

function expectSameStep(actual: Step, expected: Step): void {
  for (const [name, value] of Object.entries(expected.numbers)) {
    expect(Math.abs(actual.numbers[name]! / value - 1), name).toBeLessThan(2e-5);
  }
  const scale = expected.numbers['gradientNorm']!;
  for (const [name, { data }] of expected.state.moments) {
    const found = actual.state.moments.get(name)!.data;
    data.forEach((value, index) => {
      expect(Math.abs(found[index]! - value), `${name}[${index}]`).toBeLessThan(2e-6 * scale * Math.max(1, scale));
    });
  }
}

describe('a minibatch that takes several passes', () => {
  // Every sequence on its own, its layers computed again for their gradients; a few together; and several passes at the same time.
  const sizes = [
    { passBytes: 1, lanes: 1 },
    { passBytes: 150_000, lanes: 1 },
    { passBytes: 1, lanes: 3 },
    { passBytes: Infinity, lanes: 5 },
  ];

  it.each(
    sizes.flatMap((size) => [
      { ...size, what: 'all weights', model: config },
      { ...size, what: 'adapters', model: adapted },
    ]),
  )(
    'gives the loss, statistics and gradients of the whole, in passes of $passBytes bytes, $lanes at a time, training $what',
    ({ passBytes, lanes, model }) => {
      const whole = stepOf(mixedLoss, inputs, { passBytes: Infinity, model });
      expect(whole.numbers['gradientNorm']).toBeGreaterThan(0.1);
      expectSameStep(stepOf(mixedLoss, inputs, { passBytes, lanes, model }), whole);
    },
  );

  it.each(sizes)('keeps preference pairs together, in passes of $passBytes bytes, $lanes at a time', (size) => {
    const whole = stepOf(preferenceLoss, {}, { passBytes: Infinity });
    expectSameStep(stepOf(preferenceLoss, {}, size), whole);
  });

  it('is clipped as a whole', () => {
    const { gradientNorm } = stepOf(mixedLoss, inputs, { passBytes: Infinity }).numbers;
    const maxGradientNorm = gradientNorm! / 3;
    const clipped = stepOf(mixedLoss, inputs, { passBytes: 1, maxGradientNorm });
    expectSameStep(clipped, stepOf(mixedLoss, inputs, { passBytes: Infinity, maxGradientNorm }));
    const squares = [...clipped.state.moments]
      .filter(([name]) => name.startsWith('first.'))
      .reduce((sum, [, { data }]) => sum + data.reduce((all, value) => all + value * value, 0), 0);
    expect(Math.sqrt(squares) / maxGradientNorm).toBeCloseTo(1, 4);
  });

  it('is refused where the loss or a statistic is no sum of means, and computed in one pass where that is enough', () => {
    const squared: Loss = {
      inputs: {},
      compute: (math, { values }) => ({ loss: math.square(math.mean(values())) }),
    };
    const variance: Loss = {
      inputs: {},
      compute(math, outputs) {
        const values = outputs.values();
        return { loss: math.mean(math.square(math.subtract(values, math.mean(values)))) };
      },
    };
    for (const loss of [squared, variance]) {
      const { numbers } = stepOf(loss, {}, { passBytes: Infinity, lanes: 2 });
      expect(numbers['loss']).toBeGreaterThan(0);
      expect(numbers).toEqual(stepOf(loss, {}, { passBytes: Infinity, lanes: 1 }).numbers);
      expect(() => stepOf(loss, {}, { passBytes: 1 })).toThrow('no sum of means');
    }
  });

  it('leaves no tensors behind', () => {
    const { binding } = tf.backend() as unknown as { binding: { getNumOfTensors(): number } };
    const before = binding.getNumOfTensors();
    const model = createGraphModel(config, weightsOf(config), { passBytes: 150_000, lanes: 2 });
    const trainer = model.trainer(mixedLoss, adam);
    trainer.step(sequences, inputs, settings);
    const inUse = binding.getNumOfTensors();
    for (let step = 0; step < 3; step++) trainer.step(sequences, inputs, settings);
    expect(binding.getNumOfTensors()).toBe(inUse);
    model.dispose();
    expect(binding.getNumOfTensors()).toBe(before);
  });
});
