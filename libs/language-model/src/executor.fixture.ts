import * as tf from '@tensorflow/tfjs-node';
import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import type { LanguageModelConfig, Weights } from './definition.js';
import { describeAdapters } from './executor-adapters.fixture.js';
import {
  adam,
  expectClose,
  plainOutputs,
  plainSettings,
  policyAndValueLoss,
  policyWeights,
  randomWeights,
  smallConfig,
  someSequences,
  type WithModel,
} from './executor-models.fixture.js';
import { describeSampling } from './executor-sampling.fixture.js';
import { describeScoring } from './executor-scoring.fixture.js';
import { describeTraining } from './executor-training.fixture.js';
import type { LanguageModel, SampleRequest, Trainer } from './language-model.js';

/** Tensors alive in tfjs and in its native library. */
function tensorCounts(): number[] {
  const { binding } = tf.backend() as unknown as { binding: { getNumOfTensors(): number } };
  return [tf.memory().numTensors, binding.getNumOfTensors()];
}

/**
 * What every executor must do, against an independent implementation in plain loops.
 *
 * @param createModel holds a model on the executor
 */
export function describeExecutor<M extends LanguageModel>(
  createModel: (config: LanguageModelConfig, weights: Weights) => M,
): void {
  const withModel: WithModel<M> = (config, weights, use) => {
    const model = createModel(config, weights);
    try {
      return use(model);
    } finally {
      model.dispose();
    }
  };

  describeScoring(withModel);
  describeSampling(withModel);
  describeTraining(withModel);
  describeAdapters(withModel);

  describe('weights', () => {
    it('come out as they went in', () => {
      withModel(smallConfig, policyWeights, (model) => expect(model.weights()).toEqual(policyWeights));
    });

    it('of another model are refused, and the old ones stay', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const missing = new Map(policyWeights);
        missing.delete('model.norm.weight');
        expect(() => model.load(missing)).toThrow(InputError);
        expect(() => model.load(missing)).toThrow('model.norm.weight');
        const reshaped = new Map(policyWeights);
        reshaped.set('lm_head.weight', { shape: [12, 16], data: new Float32Array(192) });
        expect(() => model.load(reshaped)).toThrow('[12, 16]');
        expect(model.weights()).toEqual(policyWeights);
      });
    });

    it('of a learner serve a sampler without its heads', () => {
      withModel(smallConfig, randomWeights(smallConfig, ['language-model'], 3), (model) => {
        model.load(policyWeights);
        const [logProbs] = model.responseLogProbs([{ promptTokens: [1, 2], responseTokens: [3] }], 1);
        const expected = plainOutputs(smallConfig, policyWeights, { promptTokens: [1, 2], responseTokens: [3] }, 1);
        expectClose(logProbs!, expected.logProbs, 2e-5);
      });
    });
  });

  it('leaves no tensors behind', () => {
    const sequences = someSequences(70, 15);
    const useAll = (model: M, trainer: Trainer): void => {
      model.responseLogProbs(sequences, 0.9);
      model.logDistributions(sequences, 0.9);
      model.values(sequences);
      model.rewards(sequences);
      model.tokenKl(model, sequences, 1);
      model.sample(
        sequences.map(({ promptTokens }, index) => ({ promptTokens, randomSeed: [index] })),
        plainSettings,
      );
      trainer.step(
        sequences,
        {},
        {
          learningRate: 1e-4,
          maxGradientNorm: 1,
          temperature: 1,
        },
      );
      expect(() => model.values([{ promptTokens: [], responseTokens: [] }])).toThrow();
      const twice = (promptTokens: number[]): SampleRequest[] =>
        [1, 2].map((index) => ({ promptTokens, randomSeed: [index] }));
      const outside = [[1], [2], [smallConfig.vocabSize]].flatMap(twice);
      expect(() => model.sample(outside, plainSettings)).toThrow('a prompt has the token');
      expect(() => model.sample(twice([]), plainSettings)).toThrow('a prompt is empty');
      // A bias fails when a token is drawn.
      const logitBias = Array<number>(smallConfig.vocabSize).fill(-Infinity);
      expect(() => model.sample([[1], [2], [3]].flatMap(twice), { ...plainSettings, logitBias })).toThrow();
      model.load(model.weights());
    };
    withModel(smallConfig, policyWeights, (model) => useAll(model, model.trainer(policyAndValueLoss, adam)));
    const before = tensorCounts();
    const model = createModel(smallConfig, policyWeights);
    const trainer = model.trainer(policyAndValueLoss, adam);
    useAll(model, trainer);
    const inUse = tensorCounts();
    for (let round = 0; round < 3; round++) useAll(model, trainer);
    expect(tensorCounts()).toEqual(inUse);
    model.dispose();
    expect(tensorCounts()).toEqual(before);
  });
}
