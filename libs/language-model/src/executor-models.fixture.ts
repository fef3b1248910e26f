import { seededRandom } from '@infalign/core';
import { expect } from 'vitest';
import { linearLayers, parameters, type Head, type LanguageModelConfig, type Weights } from './definition.js';
import type { AdamSettings, LanguageModel, Loss, Sequence } from './language-model.js';
import { plainLogProbs, plainStates } from './plain-transformer.fixture.js';

/** A small model that has everything: grouped queries, several layers, an output projection of its own. */
export const smallConfig: LanguageModelConfig = {
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
export function randomWeights(config: LanguageModelConfig, heads: readonly Head[], seed: number): Weights {
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
export function plainOutputs(
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
export function slope(weights: Weights, name: string, index: number, compute: (weights: Weights) => number): number {
  const { shape, data } = weights.get(name)!;
  const at = (add: number): { value: number; result: number } => {
    const moved = data.slice();
    moved[index]! += add;
    return { value: moved[index]!, result: compute(new Map(weights).set(name, { shape, data: moved })) };
  };
  const [high, low] = [at(1e-3), at(-1e-3)];
  return (high.result - low.result) / (high.value - low.value);
}

export const textLoss: Loss = {
  inputs: {},
  compute: (math, { logProbs }) => ({ loss: math.negative(math.mean(logProbs())) }),
};
export const policyAndValueLoss: Loss = {
  inputs: {},
  compute(math, { logProbs, values }) {
    return { loss: math.add(math.negative(math.mean(logProbs())), math.mean(math.square(values()))) };
  },
};
export const adam: AdamSettings = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
export const plainSettings = { temperature: 1, topK: 0, topP: 1, maxResponseTokens: 6 };
export const tiedConfig: LanguageModelConfig = { ...smallConfig, tieWordEmbeddings: true };
export const adaptedConfig: LanguageModelConfig = {
  ...smallConfig,
  adapters: { rank: 3, alpha: 2, targets: linearLayers },
};
export const partlyAdaptedConfig: LanguageModelConfig = {
  ...tiedConfig,
  adapters: { rank: 1, alpha: 0.5, targets: ['q_proj', 'v_proj', 'down_proj', 'lm_head'] },
};

/** Sequences of different lengths, prompts and responses from 1 token up. */
export function someSequences(count: number, seed: number): Sequence[] {
  const random = seededRandom('sequences', seed);
  const tokens = (least: number, most: number): number[] =>
    Array.from({ length: least + random.integer(most - least + 1) }, () => random.integer(smallConfig.vocabSize));
  return Array.from({ length: count }, () => ({ promptTokens: tokens(1, 7), responseTokens: tokens(1, 8) }));
}

/** The differences between two lists of numbers are at most a tolerance. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let index = 0; index < expected.length; index++) {
    expect(
      Math.abs(actual[index]! - expected[index]!),
      `element ${index}: ${actual[index]} for ${expected[index]}`,
    ).toBeLessThanOrEqual(tolerance);
  }
}

export const policyWeights = randomWeights(smallConfig, ['language-model', 'value', 'reward'], 1);

/** Holds a model on an executor while it is in use. */
export type WithModel<M extends LanguageModel> = <T>(
  config: LanguageModelConfig,
  weights: Weights,
  use: (model: M) => T,
) => T;
