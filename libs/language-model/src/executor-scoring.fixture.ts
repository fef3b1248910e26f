import { describe, expect, it } from 'vitest';
import {
  adam,
  adaptedConfig,
  expectClose,
  partlyAdaptedConfig,
  plainOutputs,
  plainSettings,
  policyWeights,
  randomWeights,
  smallConfig,
  someSequences,
  textLoss,
  tiedConfig,
  type WithModel,
} from './executor-models.fixture.js';
import type { LanguageModel } from './language-model.js';

/** How an executor scores sequences. */
export function describeScoring<M extends LanguageModel>(withModel: WithModel<M>): void {
  describe('scoring', () => {
    it.each([
      ['an output projection of its own', smallConfig, 1],
      ['tied embeddings', tiedConfig, 1],
      ['a temperature', smallConfig, 0.7],
      ['one key head a query head', { ...smallConfig, keyValueHeads: 4 }, 1],
      ['one key head for all query heads', { ...smallConfig, keyValueHeads: 1 }, 1],
      ['adapters', adaptedConfig, 1],
      ['adapters of some layers, and tied embeddings', partlyAdaptedConfig, 1],
    ] as const)('gives the log-probabilities of the plain loops, with %s', (_, config, temperature) => {
      const weights = randomWeights(config, ['language-model'], 2);
      const sequences = someSequences(9, 3);
      const actual = withModel(config, weights, (model) => model.responseLogProbs(sequences, temperature));
      sequences.forEach((sequence, row) => {
        expectClose(actual[row]!, plainOutputs(config, weights, sequence, temperature).logProbs, 2e-5);
      });
    });

    it('gives the values before the response tokens and the reward at the last token', () => {
      const sequences = someSequences(9, 4);
      withModel(smallConfig, policyWeights, (model) => {
        const values = model.values(sequences);
        const rewards = model.rewards(sequences);
        sequences.forEach((sequence, row) => {
          const expected = plainOutputs(smallConfig, policyWeights, sequence, 1);
          expectClose(values[row]!, expected.values, 2e-5);
          expectClose([rewards[row]!], [expected.reward], 2e-5);
        });
      });
    });

    it('gives next-token probabilities that sum to 1', () => {
      const sequences = Array.from({ length: smallConfig.vocabSize }, (_, token) => ({
        promptTokens: [3, 1, 4],
        responseTokens: [token],
      }));
      const logProbs = withModel(smallConfig, policyWeights, (model) => model.responseLogProbs(sequences, 0.9));
      expectClose([logProbs.reduce((sum, [logProb]) => sum + Math.exp(logProb!), 0)], [1], 1e-5);
    });

    it('gives the log-probabilities of the whole vocabulary before every response token', () => {
      const sequences = someSequences(70, 17);
      withModel(smallConfig, policyWeights, (model) => {
        const actual = model.logDistributions(sequences, 0.8);
        expect(actual).toHaveLength(sequences.length);
        sequences.forEach((sequence, row) => {
          expectClose(actual[row]!, plainOutputs(smallConfig, policyWeights, sequence, 0.8).distributions.flat(), 5e-5);
        });
      });
    });

    it('gives each sequence the same numbers in a large batch of other lengths as alone', () => {
      const sequences = someSequences(150, 5);
      withModel(smallConfig, policyWeights, (model) => {
        const together = model.responseLogProbs(sequences, 1);
        const values = model.values(sequences);
        for (const row of [0, 63, 64, 127, 149]) {
          expectClose(together[row]!, model.responseLogProbs([sequences[row]!], 1)[0]!, 1e-5);
          expectClose(values[row]!, model.values([sequences[row]!])[0]!, 1e-5);
        }
      });
    });

    it('gives the exact divergence between two models at every response token, and 0 from itself', () => {
      const other = randomWeights(smallConfig, ['language-model'], 6);
      const sequences = someSequences(70, 7);
      withModel(smallConfig, policyWeights, (model) =>
        withModel(smallConfig, other, (reference) => {
          const divergence = model.tokenKl(reference, sequences, 0.8);
          sequences.slice(0, 8).forEach((sequence, row) => {
            const own = plainOutputs(smallConfig, policyWeights, sequence, 0.8).distributions;
            const theirs = plainOutputs(smallConfig, other, sequence, 0.8).distributions;
            const expected = own.map((logProbs, index) =>
              logProbs.reduce((sum, logProb, token) => sum + Math.exp(logProb) * (logProb - theirs[index]![token]!), 0),
            );
            expectClose(divergence[row]!, expected, 5e-5);
            expect(Math.min(...expected)).toBeGreaterThan(0.01);
          });
          for (const row of model.tokenKl(model, sequences, 1)) expectClose(row, new Float32Array(row.length), 1e-6);
        }),
      );
    });

    it('has an answer for no sequences', () => {
      withModel(smallConfig, policyWeights, (model) => {
        expect(model.responseLogProbs([], 1)).toEqual([]);
        expect(model.rewards([])).toHaveLength(0);
        expect(model.sample([], plainSettings)).toEqual([]);
      });
    });

    it('refuses empty prompts and responses, sequences longer than its positions, and tokens that it does not have', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const good = { promptTokens: [1], responseTokens: [1] };
        for (const token of [-1, 15, NaN]) {
          for (const bad of [
            { promptTokens: [1, token], responseTokens: [1] },
            { promptTokens: [1], responseTokens: [token] },
          ]) {
            expect(() => model.responseLogProbs([good, bad, good], 1)).toThrow(`the token ${token}, the model has 15`);
            const settings = { learningRate: 0, maxGradientNorm: 1, temperature: 1 };
            expect(() => model.trainer(textLoss, adam).step([good, bad, good], {}, settings)).toThrow(`token ${token}`);
          }
        }
        expect(() => model.responseLogProbs([{ promptTokens: [], responseTokens: [1] }], 1)).toThrow('empty');
        expect(() => model.responseLogProbs([{ promptTokens: [1], responseTokens: [] }], 1)).toThrow('empty');
        expect(() => model.values([{ promptTokens: Array(20).fill(1), responseTokens: Array(5).fill(1) }])).toThrow(
          '25 tokens',
        );
        expect(() => model.sample([{ promptTokens: Array(24).fill(1), randomSeed: [1] }], plainSettings)).toThrow(
          '24 tokens',
        );
      });
    });
  });
}
