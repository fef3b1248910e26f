import * as tf from '@tensorflow/tfjs-node';
import { InputError, seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { merged } from './adapters/merged.js';
import {
  isTrained,
  linearLayers,
  parameters,
  withHeads,
  type Head,
  type LanguageModelConfig,
  type Weights,
} from './definition.js';
import type { AdamSettings, LanguageModel, Loss, SampleRequest, Sequence, Trainer } from './language-model.js';
import { plainLogProbs, plainStates } from './plain-transformer.fixture.js';

/** A small model that has everything: grouped queries, several layers, an output projection of its own. */
const smallConfig: LanguageModelConfig = {
  vocabSize: 15,
  hiddenSize: 16,
  intermediateSize: 20,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  maxPositions: 24,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: false,
  eosTokenId: 0,
};

/** Weights far from their initialisation, so that nothing is hidden by a gain of 1 or a head of 0. */
function randomWeights(config: LanguageModelConfig, heads: readonly Head[], seed: number): Weights {
  return new Map(
    parameters(config, heads).map(({ name, shape, initial }) => {
      const random = seededRandom('test-weights', seed, name);
      const center = 'constant' in initial ? initial.constant : 0;
      const size = shape.reduce((a, b) => a * b, 1);
      return [name, { shape, data: Float32Array.from({ length: size }, () => center + 0.35 * random.normal()) }];
    }),
  );
}

/** What the plain loops say of a sequence; heads that the weights lack are NaN. */
function plainOutputs(
  config: LanguageModelConfig,
  weights: Weights,
  { promptTokens, responseTokens }: Sequence,
  temperature: number,
): { logProbs: number[]; values: number[]; reward: number; distributions: number[][] } {
  const response = Array.from(responseTokens);
  const states = plainStates(config, weights, [...Array.from(promptTokens), ...response]);
  const head = (name: string, state: readonly number[]): number =>
    state.reduce((sum, value, index) => sum + value * (weights.get(name)?.data[index] ?? NaN), 0);
  const before = states.slice(promptTokens.length - 1, -1);
  const distributions = before.map((state) => plainLogProbs(config, weights, state, temperature));
  return {
    logProbs: response.map((token, index) => distributions[index]![token]!),
    values: before.map((state) => head('value_head.weight', state) + (weights.get('value_head.bias')?.data[0] ?? NaN)),
    reward: head('score.weight', states.at(-1)!),
    distributions,
  };
}

/** The slope of a function of the weights in one of their elements, by a central difference of 32-bit steps. */
function slope(weights: Weights, name: string, index: number, compute: (weights: Weights) => number): number {
  const { shape, data } = weights.get(name)!;
  const at = (add: number): { value: number; result: number } => {
    const moved = data.slice();
    moved[index]! += add;
    return { value: moved[index]!, result: compute(new Map(weights).set(name, { shape, data: moved })) };
  };
  const [high, low] = [at(1e-3), at(-1e-3)];
  return (high.result - low.result) / (high.value - low.value);
}

const textLoss: Loss = {
  inputs: {},
  compute: (math, { logProbs }) => ({ loss: math.negative(math.mean(logProbs())) }),
};
const policyAndValueLoss: Loss = {
  inputs: {},
  compute(math, { logProbs, values }) {
    return { loss: math.add(math.negative(math.mean(logProbs())), math.mean(math.square(values()))) };
  },
};
const adam: AdamSettings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const plainSettings = { temperature: 1, topK: 0, topP: 1, maxResponseTokens: 6 };
const tiedConfig: LanguageModelConfig = { ...smallConfig, tieWordEmbeddings: true };
const adaptedConfig: LanguageModelConfig = {
  ...smallConfig,
  adapters: { rank: 3, alpha: 2, targets: linearLayers },
};
const partlyAdaptedConfig: LanguageModelConfig = {
  ...tiedConfig,
  adapters: { rank: 1, alpha: 0.5, targets: ['q_proj', 'v_proj', 'down_proj', 'lm_head'] },
};

/** Sequences of different lengths, prompts and responses from 1 token up. */
function someSequences(count: number, seed: number): Sequence[] {
  const random = seededRandom('sequences', seed);
  const tokens = (least: number, most: number): number[] =>
    Array.from({ length: least + random.integer(most - least + 1) }, () => random.integer(smallConfig.vocabSize));
  return Array.from({ length: count }, () => ({ promptTokens: tokens(1, 7), responseTokens: tokens(1, 8) }));
}

/** The differences between two lists of numbers are at most a tolerance. */
function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let index = 0; index < expected.length; index++) {
    expect(
      Math.abs(actual[index]! - expected[index]!),
      `element ${index}: ${actual[index]} for ${expected[index]}`,
    ).toBeLessThanOrEqual(tolerance);
  }
}

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
  const withModel = <T>(config: LanguageModelConfig, weights: Weights, use: (model: M) => T): T => {
    const model = createModel(config, weights);
    try {
      return use(model);
    } finally {
      model.dispose();
    }
  };
  const policyWeights = randomWeights(smallConfig, ['language-model', 'value', 'reward'], 1);

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

  describe('training', () => {
    const settings = { learningRate: 1e-3, maxGradientNorm: Infinity, temperature: 0.8 };
    /** A loss with a different weight for every output, so that no output can stand in for another. */
    const mixedLoss: Loss<'logProbWeights' | 'valueWeights' | 'rewardWeights', 'rewardPart'> = {
      inputs: { logProbWeights: 'response token', valueWeights: 'response token', rewardWeights: 'sequence' },
      compute(math, { logProbs, values, rewards }, { logProbWeights, valueWeights, rewardWeights }) {
        const rewardPart = math.mean(math.multiply(rewards(), rewardWeights));
        const valuePart = math.mean(math.multiply(math.square(values()), valueWeights));
        const logProbPart = math.mean(math.multiply(logProbs(), logProbWeights));
        return { loss: math.add(math.add(logProbPart, valuePart), rewardPart), rewardPart };
      },
    };
    const waves = (count: number, phase: number): Float32Array =>
      Float32Array.from({ length: count }, (_, index) => 10 * Math.cos(index + phase));
    const mixedInputs = (sequences: readonly Sequence[]) => {
      const tokens = sequences.reduce((sum, { responseTokens }) => sum + responseTokens.length, 0);
      return {
        logProbWeights: waves(tokens, 0),
        valueWeights: waves(tokens, 1),
        rewardWeights: waves(sequences.length, 2),
      };
    };
    const plainMixedLoss = (config: LanguageModelConfig, weights: Weights, sequences: readonly Sequence[]): number => {
      const outputs = sequences.map((sequence) => plainOutputs(config, weights, sequence, settings.temperature));
      const weighted = (list: number[], phase: number): number =>
        list.reduce((sum, value, index) => sum + value * 10 * Math.cos(index + phase), 0) / list.length;
      return (
        weighted(
          outputs.flatMap(({ logProbs }) => logProbs),
          0,
        ) +
        weighted(
          outputs.flatMap(({ values }) => values.map((value) => value * value)),
          1,
        ) +
        weighted(
          outputs.map(({ reward }) => reward),
          2,
        )
      );
    };

    it.each([
      ['an output projection of its own', smallConfig],
      ['tied embeddings', tiedConfig],
      ['adapters', adaptedConfig],
      ['adapters of some layers, and tied embeddings', partlyAdaptedConfig],
    ])('has the gradients that finite differences of the plain loops give, with %s', (_, config) => {
      const weights = randomWeights(config, ['language-model', 'value', 'reward'], 9);
      const sequences = someSequences(4, 10);
      withModel(config, weights, (model) => {
        const trainer = model.trainer(mixedLoss, { ...adam, beta1: 0 });
        const { loss, rewardPart, gradientNorm } = trainer.step(sequences, mixedInputs(sequences), settings);
        const rewards = sequences.map((sequence) => plainOutputs(config, weights, sequence, 1).reward);
        const part = rewards.reduce((sum, reward, row) => sum + reward * 10 * Math.cos(row + 2), 0) / rewards.length;
        expectClose([rewardPart], [part], 1e-3);
        expectClose([loss], [plainMixedLoss(config, weights, sequences)], 1e-3);
        // From rest, and with β₁ = 0, the first moment is the gradient.
        const gradients = trainer.optimiserState().moments;
        let squares = 0;
        for (const [name, { data }] of weights) {
          expect(gradients.has(`first.${name}`), name).toBe(isTrained(config, name));
          if (!isTrained(config, name)) continue;
          const gradient = gradients.get(`first.${name}`)!.data;
          squares += gradient.reduce((sum, g) => sum + g * g, 0);
          const random = seededRandom('element', name);
          for (let trial = 0; trial < 4; trial++) {
            const index = random.integer(data.length);
            const expected = slope(weights, name, index, (moved) => plainMixedLoss(config, moved, sequences));
            expect(
              Math.abs(gradient[index]! - expected),
              `${name}[${index}]: ${gradient[index]} for ${expected}`,
            ).toBeLessThan(1e-3 * Math.max(1, Math.abs(expected)));
          }
        }
        expectClose([gradientNorm / Math.sqrt(squares)], [1], 1e-5);
      });
    });

    it('has the same gradients from a large batch as the plain loops', () => {
      const weights = randomWeights(smallConfig, ['language-model', 'value', 'reward'], 9);
      const sequences = someSequences(150, 11);
      withModel(smallConfig, weights, (model) => {
        const trainer = model.trainer(mixedLoss, { ...adam, beta1: 0 });
        trainer.step(sequences, mixedInputs(sequences), settings);
        const gradients = trainer.optimiserState().moments;
        for (const [name, index] of [
          ['model.embed_tokens.weight', 40],
          ['model.layers.0.self_attn.k_proj.weight', 11],
          ['model.layers.1.post_attention_layernorm.weight', 5],
        ] as const) {
          const expected = slope(weights, name, index, (moved) => plainMixedLoss(smallConfig, moved, sequences));
          expect(Math.abs(gradients.get(`first.${name}`)!.data[index]! / expected - 1)).toBeLessThan(2e-3);
        }
      });
    });

    it('gives a loss the rewards of the first and of the second half of the sequences', () => {
      const sequences = someSequences(6, 17);
      withModel(smallConfig, policyWeights, (model) => {
        const difference: Loss = {
          inputs: {},
          compute(math, outputs) {
            const { chosen, rejected } = outputs.preferences();
            return { loss: math.mean(math.multiply(chosen, math.subtract(chosen, rejected))) };
          },
        };
        const rewards = model.rewards(sequences);
        const expected = [0, 1, 2].reduce((sum, i) => sum + (rewards[i]! * (rewards[i]! - rewards[i + 3]!)) / 3, 0);
        expectClose([model.trainer(difference, adam).step(sequences, {}, settings).loss], [expected], 1e-4);
      });
    });

    it('gives a loss the log-probabilities of whole responses, of the first and of the second half', () => {
      const sequences = someSequences(6, 18);
      withModel(smallConfig, policyWeights, (model) => {
        const difference: Loss = {
          inputs: {},
          compute(math, outputs) {
            const { chosen, rejected } = outputs.comparedLogProbs();
            return { loss: math.mean(math.multiply(chosen, math.subtract(chosen, rejected))) };
          },
        };
        const logProbs = model
          .responseLogProbs(sequences, settings.temperature)
          .map((each) => each.reduce((sum, one) => sum + one, 0));
        const expected = [0, 1, 2].reduce((sum, i) => sum + (logProbs[i]! * (logProbs[i]! - logProbs[i + 3]!)) / 3, 0);
        expectClose([model.trainer(difference, adam).step(sequences, {}, settings).loss / expected], [1], 1e-5);
      });
    });

    it('has the gradient of a loss of whole responses', () => {
      const sequences = someSequences(4, 19);
      const weights = randomWeights(smallConfig, ['language-model'], 9);
      const name = 'model.layers.1.mlp.down_proj.weight';
      const loss: Loss = {
        inputs: {},
        compute(math, outputs) {
          const { chosen, rejected } = outputs.comparedLogProbs();
          return { loss: math.mean(math.square(math.subtract(chosen, rejected))) };
        },
      };
      const lossOf = (moved: Weights): number =>
        withModel(smallConfig, moved, (model) => {
          const sums = model
            .responseLogProbs(sequences, settings.temperature)
            .map((each) => each.reduce((sum, one) => sum + one, 0));
          return ((sums[0]! - sums[2]!) ** 2 + (sums[1]! - sums[3]!) ** 2) / 2;
        });
      withModel(smallConfig, weights, (model) => {
        const trainer = model.trainer(loss, { ...adam, beta1: 0 });
        trainer.step(sequences, {}, settings);
        const { data } = trainer.optimiserState().moments.get(`first.${name}`)!;
        const steepest = data.reduce(
          (best, value, index) => (Math.abs(value) > Math.abs(data[best]!) ? index : best),
          0,
        );
        const expected = slope(weights, name, steepest, lossOf);
        expect(Math.abs(data[steepest]! / expected - 1)).toBeLessThan(1e-2);
      });
    });

    it('leaves heads alone that the loss does not use', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const trainer = model.trainer(textLoss, adam);
        trainer.step(someSequences(3, 12), {}, settings);
        const after = model.weights();
        for (const name of ['value_head.weight', 'value_head.bias', 'score.weight']) {
          expect(after.get(name)!.data).toEqual(policyWeights.get(name)!.data);
        }
        expect(after.get('lm_head.weight')!.data).not.toEqual(policyWeights.get('lm_head.weight')!.data);
      });
    });

    it('scales gradients down to the maximum norm, and reports the norm before', () => {
      const sequences = someSequences(4, 10);
      const moments = (maxGradientNorm: number): { gradientNorm: number; data: Float32Array } =>
        withModel(smallConfig, policyWeights, (model) => {
          const trainer = model.trainer(mixedLoss, adam);
          const { gradientNorm } = trainer.step(sequences, mixedInputs(sequences), { ...settings, maxGradientNorm });
          return { gradientNorm, data: trainer.optimiserState().moments.get('first.model.norm.weight')!.data };
        });
      const free = moments(Infinity);
      const clipped = moments(free.gradientNorm / 4);
      expect(clipped.gradientNorm).toBe(free.gradientNorm);
      expectClose(
        clipped.data,
        free.data.map((value) => value / 4),
        1e-6 * free.gradientNorm,
      );
    });

    it('learns a text by heart, and the model sees the new weights', () => {
      const weights = randomWeights(smallConfig, ['language-model'], 13);
      const text = [{ promptTokens: [1], responseTokens: [4, 2, 8, 5, 7, 1, 4, 2, 8, 5, 7] }];
      withModel(smallConfig, weights, (model) => {
        const trainer = model.trainer(textLoss, adam);
        let last = Infinity;
        for (let step = 0; step < 60; step++) {
          last = trainer.step(
            text,
            {},
            {
              learningRate: 0.02,
              maxGradientNorm: 1,
              temperature: 1,
            },
          ).loss;
        }
        expect(last).toBeLessThan(0.05);
        expect(model.responseLogProbs(text, 1)[0]!.reduce((sum, value) => sum + value, 0)).toBeGreaterThan(-0.6);
        const [sampled] = model.sample([{ promptTokens: [1], randomSeed: [0] }], {
          ...plainSettings,
          topK: 1,
          maxResponseTokens: 11,
        });
        expect(Array.from(sampled!.responseTokens)).toEqual(text[0]!.responseTokens);
      });
    });

    it('goes on from its saved state exactly as if it had not stopped', () => {
      const sequences = someSequences(6, 14);
      const stepOf = (trainer: Trainer): unknown => trainer.step(sequences, {}, { ...settings, maxGradientNorm: 1 });
      const whole = withModel(smallConfig, policyWeights, (model) => {
        const trainer = model.trainer(policyAndValueLoss, adam);
        for (let step = 0; step < 4; step++) stepOf(trainer);
        return { weights: model.weights(), state: trainer.optimiserState() };
      });
      const half = withModel(smallConfig, policyWeights, (model) => {
        const trainer = model.trainer(policyAndValueLoss, adam);
        for (let step = 0; step < 2; step++) stepOf(trainer);
        return { weights: model.weights(), state: trainer.optimiserState() };
      });
      const resumed = withModel(
        smallConfig,
        randomWeights(smallConfig, ['language-model', 'value', 'reward'], 99),
        (model) => {
          model.load(half.weights);
          const trainer = model.trainer(policyAndValueLoss, adam);
          trainer.load(half.state);
          for (let step = 0; step < 2; step++) stepOf(trainer);
          return { weights: model.weights(), state: trainer.optimiserState() };
        },
      );
      expect(half.state.steps).toBe(2);
      expect(resumed).toEqual(whole);
      expect(resumed).not.toEqual(half);
    });

    it('refuses to take a step that would write infinite weights', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const infinite: Loss = {
          inputs: {},
          compute: (math, { logProbs }) => ({ loss: math.multiply(math.mean(logProbs()), Infinity) }),
        };
        const trainer = model.trainer(infinite, adam);
        expect(() => trainer.step(someSequences(2, 1), {}, settings)).toThrow(InputError);
        expect(model.weights()).toEqual(policyWeights);
      });
    });
  });

  describe('adapters', () => {
    const weights = randomWeights(adaptedConfig, ['language-model', 'value', 'reward'], 18);
    const sequences = someSequences(20, 19);
    const settings = { learningRate: 1e-2, maxGradientNorm: 1, temperature: 1 };
    const trained = [...weights.keys()].filter((name) => isTrained(adaptedConfig, name));

    it('compute the same apart from the weights and merged into them', () => {
      const whole = merged({ config: adaptedConfig, weights });
      expect([...whole.weights.keys()]).toEqual([...policyWeights.keys()]);
      withModel(adaptedConfig, weights, (apart) =>
        withModel(whole.config, whole.weights, (together) => {
          const expected = together.responseLogProbs(sequences, 1);
          apart.responseLogProbs(sequences, 1).forEach((row, index) => expectClose(row, expected[index]!, 1e-5));
          expectClose(apart.rewards(sequences), together.rewards(sequences), 1e-5);
          const requests = sequences.map(({ promptTokens }, index) => ({ promptTokens, randomSeed: [index] }));
          const responses = together.sample(requests, plainSettings);
          apart.sample(requests, plainSettings).forEach(({ responseTokens, logProbs }, index) => {
            expect(responseTokens).toEqual(responses[index]!.responseTokens);
            expectClose(logProbs, responses[index]!.logProbs, 1e-5);
          });
        }),
      );
    });

    it('change nothing before they are trained', () => {
      const heads = ['language-model', 'value', 'reward'] as const;
      const fresh = withHeads(adaptedConfig, policyWeights, heads, 5);
      const expected = withModel(smallConfig, policyWeights, (model) => model.responseLogProbs(sequences, 1));
      withModel(adaptedConfig, fresh, (model) => {
        model.responseLogProbs(sequences, 1).forEach((row, index) => expectClose(row, expected[index]!, 1e-6));
        model.trainer(textLoss, adam).step(sequences, {}, settings);
        expect(model.responseLogProbs(sequences, 1)[0]).not.toEqual(expected[0]);
      });
    });

    it('and heads are all that is trained, kept by the optimiser, given out and taken in', () => {
      withModel(adaptedConfig, weights, (model) => {
        const before = model.responseLogProbs(sequences, 1);
        const begin = model.weights();
        expect([...begin.keys()].sort()).toEqual(trained.toSorted());
        for (const [name, weight] of begin) expect(weight).toEqual(weights.get(name));
        const trainer = model.trainer(policyAndValueLoss, adam);
        for (let step = 0; step < 3; step++) trainer.step(sequences, {}, settings);
        const { moments } = trainer.optimiserState();
        expect([...moments.keys()].sort()).toEqual(
          trained.flatMap((name) => [`first.${name}`, `second.${name}`]).sort(),
        );
        const after = model.weights();
        for (const name of trained.filter((each) => each !== 'score.weight')) {
          expect(after.get(name)!.data, name).not.toEqual(begin.get(name)!.data);
        }
        const learned = model.responseLogProbs(sequences, 1);
        expect(learned).not.toEqual(before);
        // Where the adapters are as they were, all is: nothing else has changed.
        model.load(begin);
        expect(model.responseLogProbs(sequences, 1)).toEqual(before);
        model.load(new Map([...weights, ...after]));
        expect(model.responseLogProbs(sequences, 1)).toEqual(learned);
        expect(() => model.load(policyWeights)).toThrow('lora_A');
      });
    });
  });

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
