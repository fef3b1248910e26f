import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import type { Weights } from './definition.js';
import {
  expectClose,
  plainOutputs,
  plainSettings,
  policyWeights,
  smallConfig,
  someSequences,
  type WithModel,
} from './executor-models.fixture.js';
import type { LanguageModel, SampleRequest } from './language-model.js';

/** How an executor samples. */
export function describeSampling<M extends LanguageModel>(withModel: WithModel<M>): void {
  describe('sampling', () => {
    const requests = (): SampleRequest[] => {
      const prompts = someSequences(5, 8).map(({ promptTokens }) => promptTokens);
      return prompts.flatMap((promptTokens, prompt) =>
        Array.from({ length: prompt === 2 ? 1 : 3 }, (_, index) => ({
          promptTokens,
          randomSeed: ['sample', prompt, index],
        })),
      );
    };

    it('gives, from its cache, the log-probabilities of a full forward pass', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const all = requests();
        const responses = model.sample(all, { ...plainSettings, temperature: 0.8, maxResponseTokens: 9 });
        const sequences = responses.map(({ responseTokens }, row) => ({
          promptTokens: all[row]!.promptTokens,
          responseTokens,
        }));
        model.responseLogProbs(sequences, 0.8).forEach((expected, row) => {
          expectClose(responses[row]!.logProbs, expected, 2e-5);
        });
        expect(Math.max(...responses.map(({ responseTokens }) => responseTokens.length))).toBe(9);
      });
    });

    it('ends a response at end-of-text, and only there or at its maximum length', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const responses = model.sample(
          Array.from({ length: 200 }, (_, index) => ({ promptTokens: [1 + (index % 4)], randomSeed: [index] })),
          plainSettings,
        );
        for (const { responseTokens, logProbs, ended } of responses) {
          expect(logProbs).toHaveLength(responseTokens.length);
          const end = responseTokens.indexOf(smallConfig.eosTokenId);
          expect(end).toBe(ended ? responseTokens.length - 1 : -1);
          if (!ended) expect(responseTokens).toHaveLength(plainSettings.maxResponseTokens);
        }
        const count = responses.filter(({ ended }) => ended).length;
        expect(count).toBeGreaterThan(10);
        expect(count).toBeLessThan(190);
      });
    });

    it('draws tokens as often as their probabilities say, also far into a response', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const count = 6000;
        const responses = model.sample(
          Array.from({ length: count }, (_, index) => ({ promptTokens: [5, 2, 7], randomSeed: ['frequency', index] })),
          { ...plainSettings, temperature: 1.3, maxResponseTokens: 2 },
        );
        const firsts = new Float64Array(smallConfig.vocabSize);
        const pairs = new Map<string, number>();
        for (const { responseTokens } of responses) {
          firsts[responseTokens[0]!]! += 1 / count;
          const key = responseTokens.join();
          pairs.set(key, (pairs.get(key) ?? 0) + 1 / count);
        }
        const [first] = plainOutputs(
          smallConfig,
          policyWeights,
          { promptTokens: [5, 2, 7], responseTokens: [1] },
          1.3,
        ).distributions;
        const expected: [frequency: number, probability: number][] = [];
        first!.forEach((logProb, token) => expected.push([firsts[token]!, Math.exp(logProb)]));
        for (let token = 1; token < smallConfig.vocabSize; token++) {
          const [, second] = plainOutputs(
            smallConfig,
            policyWeights,
            { promptTokens: [5, 2, 7], responseTokens: [token, 1] },
            1.3,
          ).distributions;
          second!.forEach((logProb, next) =>
            expected.push([pairs.get(`${token},${next}`) ?? 0, Math.exp(first![token]! + logProb)]),
          );
        }
        // The normal approximation holds where ten or more are expected; what is rarer is checked as one.
        const isRare = ([, probability]: [number, number]): boolean => probability * count < 10;
        const rare = expected.filter(isRare).reduce<[number, number]>(([a, b], [c, d]) => [a + c, b + d], [0, 0]);
        for (const [frequency, probability] of [...expected.filter((cell) => !isRare(cell)), rare]) {
          const deviation = Math.sqrt((probability * (1 - probability)) / count);
          expect(Math.abs(frequency - probability)).toBeLessThan(4 * deviation);
        }
      });
    });

    it('gives the same response to the same seed, wherever it stands in a batch', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const all = requests();
        const together = model.sample(all, plainSettings);
        expect(model.sample(all, plainSettings)).toEqual(together);
        const backwards = model.sample(all.toReversed(), plainSettings).reverse();
        backwards.forEach(({ responseTokens }, row) => expect(responseTokens).toEqual(together[row]!.responseTokens));
        all.forEach((request, row) => {
          expect(model.sample([request], plainSettings)[0]!.responseTokens).toEqual(together[row]!.responseTokens);
        });
        const others = model.sample(
          all.map((request) => ({ ...request, randomSeed: [...request.randomSeed, 1] })),
          plainSettings,
        );
        expect(others.map(({ responseTokens }) => responseTokens)).not.toEqual(
          together.map(({ responseTokens }) => responseTokens),
        );
      });
    });

    it('draws only the k most probable tokens, and only those that reach p', () => {
      const promptTokens = [5, 2, 7];
      const [distribution] = plainOutputs(
        smallConfig,
        policyWeights,
        { promptTokens, responseTokens: [1] },
        1,
      ).distributions;
      const ranked = distribution!.map((logProb, token) => ({ token, probability: Math.exp(logProb) }));
      ranked.sort((a, b) => b.probability - a.probability);
      const many = Array.from({ length: 600 }, (_, index) => ({ promptTokens, randomSeed: [index] }));
      withModel(smallConfig, policyWeights, (model) => {
        const drawn = (topK: number, topP: number): number[] =>
          [
            ...new Set(
              model
                .sample(many, { temperature: 1, topK, topP, maxResponseTokens: 1 })
                .map(({ responseTokens }) => responseTokens[0]!),
            ),
          ].sort((a, b) => a - b);
        const most = (count: number): number[] =>
          ranked
            .slice(0, count)
            .map(({ token }) => token)
            .sort((a, b) => a - b);
        expect(drawn(3, 1)).toEqual(most(3));
        expect(drawn(1, 1)).toEqual(most(1));
        const two = ranked[0]!.probability + ranked[1]!.probability;
        expect(drawn(0, two - 1e-4)).toEqual(most(2));
        expect(drawn(0, two + 1e-4)).toEqual(most(3));
        expect(drawn(0, 1e-9)).toEqual(most(1));
      });
    });

    it('adds a bias to the logits before it looks for the most probable tokens, and not to the log-probabilities', () => {
      const promptTokens = [5, 2, 7];
      const [logProbs] = plainOutputs(
        smallConfig,
        policyWeights,
        { promptTokens, responseTokens: [1] },
        1.3,
      ).distributions;
      const likeliest = logProbs!.indexOf(Math.max(...logProbs!));
      const others = logProbs!.map((_, token) => (token === 4 ? -Infinity : (2 * token) / smallConfig.vocabSize));
      const logitBias = others.map((bias, token) => (token === likeliest ? -3 : bias));
      const tilted = logProbs!.map((logProb, token) => Math.exp(logProb + logitBias[token]!));
      const total = tilted.reduce((sum, value) => sum + value, 0);
      const count = 4000;
      const many = Array.from({ length: count }, (_, index) => ({ promptTokens, randomSeed: ['biased', index] }));
      withModel(smallConfig, policyWeights, (model) => {
        const settings = { ...plainSettings, temperature: 1.3, maxResponseTokens: 1, logitBias };
        const drawn = model.sample(many, settings);
        tilted.forEach((value, token) => {
          const own = drawn.filter(({ responseTokens }) => responseTokens[0] === token);
          const probability = value / total;
          const deviation = Math.sqrt((probability * (1 - probability)) / count);
          expect(Math.abs(own.length / count - probability)).toBeLessThanOrEqual(4 * deviation);
          for (const response of own) expectClose(response.logProbs, [logProbs![token]!], 2e-5);
        });
        const best = model.sample(many.slice(0, 20), { ...settings, topK: 1 });
        expect(new Set(best.map(({ responseTokens }) => responseTokens[0]))).toEqual(
          new Set([tilted.indexOf(Math.max(...tilted))]),
        );
      });
      expect(tilted.indexOf(Math.max(...tilted))).not.toBe(likeliest);
    });

    it('draws no token where none has a probability that is known, and says why', () => {
      const all = requests();
      const scaled = (name: string, factor: number): Weights => {
        const { shape, data } = policyWeights.get(name)!;
        return new Map(policyWeights).set(name, { shape, data: data.map((value) => factor * value) });
      };
      withModel(smallConfig, policyWeights, (model) => {
        for (const temperature of [0, -1, NaN]) {
          expect(() => model.sample(all, { ...plainSettings, temperature })).toThrow(InputError);
          expect(() => model.sample(all, { ...plainSettings, temperature })).toThrow(
            `temperature of sampling is ${temperature}`,
          );
        }
        const none = Array<number>(smallConfig.vocabSize).fill(-Infinity);
        expect(() => model.sample(all, { ...plainSettings, logitBias: none })).toThrow('No token can be drawn');
        model.load(scaled('model.layers.0.self_attn.k_proj.weight', NaN));
        expect(() => model.sample(all, plainSettings)).toThrow(InputError);
        expect(() => model.sample(all, plainSettings)).toThrow('add up to NaN');
      });
      // Next to the most probable token, the least probable one has a probability far below what 32 bits hold.
      withModel(smallConfig, scaled('lm_head.weight', 300), (model) => {
        const [request] = all;
        const [distribution] = model.logDistributions([{ ...request!, responseTokens: [1] }], 1);
        const [best, worst] = [Math.max, Math.min].map((end) => distribution!.indexOf(end(...distribution!)));
        const drawn = (bias: (token: number) => number): number => {
          const logitBias = Array.from(distribution!, (_, token) => bias(token));
          return model.sample([request!], { ...plainSettings, maxResponseTokens: 1, logitBias })[0]!.responseTokens[0]!;
        };
        expect(drawn((token) => (token === best ? 0 : 20))).toBe(best);
        expect(() => drawn((token) => (token === worst ? 0 : -Infinity))).toThrow(`favours token ${worst}`);
        expect(() => drawn((token) => (token === worst ? 5000 : 0))).toThrow(`favours token ${worst}`);
      });
    });

    it('goes on as before with good weights, where it was asked with others that are not finite', () => {
      const several = (seed: number): SampleRequest[] =>
        [1, 2, 3].map((index) => ({ promptTokens: [5, 2, 7], randomSeed: ['several', seed, index] }));
      const { shape, data } = policyWeights.get('model.embed_tokens.weight')!;
      const from = 4 * smallConfig.hiddenSize;
      const bad = data.map((value, index) => (index >= from && index < from + smallConfig.hiddenSize ? NaN : value));
      withModel(smallConfig, policyWeights, (model) => {
        const before = model.sample(several(0), plainSettings);
        // Responses fail after token 4, at one position or another.
        model.load(new Map(policyWeights).set('model.embed_tokens.weight', { shape, data: bad }));
        const failed = Array.from({ length: 20 }, (_, seed) => {
          try {
            model.sample(several(seed), plainSettings);
            return [];
          } catch (error) {
            return [error];
          }
        }).flat();
        expect(failed.length).toBeGreaterThan(5);
        expect(String(failed[0])).toContain('add up to NaN');
        model.load(policyWeights);
        expect(model.sample(several(0), plainSettings)).toEqual(before);
      });
    });

    it('stops at the last position that the model has', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const [response] = model.sample(
          [{ promptTokens: Array<number>(22).fill(3), randomSeed: ['b'] }],
          plainSettings,
        );
        expect(response!.responseTokens.length).toBeLessThanOrEqual(2);
        // Each of several by its own prompt, not by the longest.
        const settings = {
          ...plainSettings,
          logitBias: [-Infinity, ...Array<number>(14).fill(0)],
          maxResponseTokens: 20,
        };
        const several = [22, 3, 10].map((length) => ({
          promptTokens: Array<number>(length).fill(3),
          randomSeed: [length],
        }));
        const responses = model.sample(several, settings);
        expect(responses.map(({ responseTokens }) => responseTokens.length)).toEqual([2, 20, 14]);
        several.forEach((request, row) => {
          expect(responses[row]!.responseTokens).toEqual(model.sample([request], settings)[0]!.responseTokens);
        });
      });
    });
  });
}
