import '@tensorflow/tfjs-node';
import { describe, expect, it } from 'vitest';
import { createEagerModel } from '../eager/eager-model.js';
import {
  adaptedConfig,
  expectClose,
  plainSettings,
  randomWeights,
  smallConfig,
  someSequences,
  textLoss,
} from '../executor-models.fixture.js';
import { createGraphModel } from './graph-model.js';

describe.each([
  ['all weights', smallConfig],
  ['adapters', adaptedConfig],
])('a model whose features of the MLP are padded, of which %s are trained', (_, base) => {
  const config = { ...base, intermediateSize: 512 };
  const weights = randomWeights(config, ['language-model'], 3);
  const models = [createEagerModel, createGraphModel].map((create) => create(config, weights));

  it('learns what the eager executor does, which pads nothing, and samples by what it learned', () => {
    // An epsilon of the size of gradients: the last bits of those near 0 decide nothing.
    const settings = { learningRate: 0.02, maxGradientNorm: Infinity, temperature: 1 };
    const learned = models.map((model) => {
      const trainer = model.trainer(textLoss, { beta1: 0.9, beta2: 0.999, epsilon: 0.1 });
      for (let step = 0; step < 4; step++) trainer.step(someSequences(6, step), {}, settings);
      const rollouts = model.sample(
        someSequences(5, 9).map(({ promptTokens }, index) => ({ promptTokens, randomSeed: [index] })),
        plainSettings,
      );
      return { weights: model.weights(), rollouts };
    });
    const [eager, graph] = learned as [(typeof learned)[0], (typeof learned)[0]];
    const moved = [...eager.weights].map(([name, { data }]) => {
      expectClose(graph.weights.get(name)!.data, data, 1e-4);
      return Math.max(...data.map((value, index) => Math.abs(value - weights.get(name)!.data[index]!)));
    });
    expect(Math.max(...moved)).toBeGreaterThan(0.01);
    graph.rollouts.forEach(({ responseTokens, logProbs }, index) => {
      expect(responseTokens).toEqual(eager.rollouts[index]!.responseTokens);
      expectClose(logProbs, eager.rollouts[index]!.logProbs, 1e-3);
    });
    for (const model of models) model.dispose();
  });
});
