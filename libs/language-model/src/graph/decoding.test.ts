import '@tensorflow/tfjs-node';
import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { initialWeights, type LanguageModelConfig, type Weights } from '../definition.js';
import type { SampleRequest } from '../language-model.js';
import { createGraphModel } from './graph-model.js';

const config: LanguageModelConfig = {
  vocabSize: 60,
  hiddenSize: 16,
  intermediateSize: 20,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  maxPositions: 120,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: false,
  eosTokenId: 0,
};
const adapted: LanguageModelConfig = {
  ...config,
  tieWordEmbeddings: true,
  adapters: { rank: 3, alpha: 6, targets: ['k_proj', 'o_proj', 'down_proj', 'lm_head'] },
};

function weightsOf(model: LanguageModelConfig): Weights {
  return new Map(
    [...initialWeights(model, ['language-model'], 1)].map(([name, { shape, data }]) => {
      const random = seededRandom('weights', name);
      return [name, { shape, data: data.map((value) => value + 0.3 * random.normal()) }];
    }),
  );
}

const settings = { temperature: 1, topK: 0, topP: 1, maxResponseTokens: 100 };

/** @param samples of each of four prompts */
function requestsFor(samples: number, seed: string): SampleRequest[] {
  return Array.from({ length: 4 * samples }, (_, index) => ({
    promptTokens: Array.from({ length: 3 + (index % 4) }, (__, time) => 1 + ((7 * (index % 4) + time) % 59)),
    randomSeed: [seed, index],
  }));
}

describe('responses longer than what rows have room for at first', () => {
  it.each([
    { samples: 1, how: 'by lanes by themselves', model: config, lanes: 2, largeWeights: Infinity },
    { samples: 5, how: 'by lanes by themselves', model: config, lanes: 2, largeWeights: Infinity },
    { samples: 1, how: 'by lanes that share products', model: config, lanes: 2, largeWeights: 0 },
    { samples: 5, how: 'by lanes that share products', model: config, lanes: 2, largeWeights: 0 },
    { samples: 5, how: 'by lanes that share products, with adapters', model: adapted, lanes: 2, largeWeights: 0 },
    { samples: 5, how: 'by two lanes that share products and a third', model: adapted, lanes: 3, largeWeights: 0 },
  ])('are what a full forward pass says, and the same in a later call, $samples to a prompt, $how', (each) => {
    const { samples, model, lanes, largeWeights } = each;
    const [first, second] = [requestsFor(samples, 'first'), requestsFor(samples, 'second')];
    const [used, fresh] = [0, 1].map(() => createGraphModel(model, weightsOf(model), { lanes, largeWeights }));
    try {
      const before = used!.sample(first, settings);
      const responses = used!.sample(second, settings);
      // Room is for 32 tokens, then for 64, then for all.
      const lengths = [before, responses].map((each) => Math.max(...each.map((one) => one.responseTokens.length)));
      expect(Math.min(...lengths)).toBeGreaterThan(64);
      expect(fresh!.sample(second, settings)).toEqual(responses);
      const sequences = responses.map(({ responseTokens }, row) => ({
        promptTokens: second[row]!.promptTokens,
        responseTokens,
      }));
      used!.responseLogProbs(sequences, 1).forEach((expected, row) => {
        expected.forEach((logProb, time) => {
          expect(Math.abs(responses[row]!.logProbs[time]! - logProb), `${row}, ${time}`).toBeLessThan(5e-5);
        });
      });
    } finally {
      used!.dispose();
      fresh!.dispose();
    }
  });
});
