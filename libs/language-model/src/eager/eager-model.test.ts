import '@tensorflow/tfjs-node';
import * as tf from '@tensorflow/tfjs-core';
import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { initialWeights, type LanguageModelConfig, type Weights } from '../definition.js';
import type { Sequence } from '../language-model.js';
import { plainLogProbs, plainStates } from '../plain-transformer.fixture.js';
import { createEagerModel } from './eager-model.js';

const config: LanguageModelConfig = {
  vocabSize: 23,
  hiddenSize: 16,
  intermediateSize: 24,
  layers: 2,
  heads: 4,
  keyValueHeads: 2,
  maxPositions: 24,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};

/** Weights large enough that attention, gates and norms all matter. */
function lively(seed: number, heads: Parameters<typeof initialWeights>[1] = ['language-model', 'value']): Weights {
  const random = seededRandom('lively', seed);
  return new Map(
    [...initialWeights(config, heads, seed)].map(([name, { shape, data }]) => [
      name,
      { shape, data: data.map((value) => (shape.length === 1 ? value : 0) + 0.35 * random.normal()) },
    ]),
  );
}

const sequence = (prompt: number[], response: number[]): Sequence => ({
  promptTokens: prompt,
  responseTokens: response,
});
const unequal = [sequence([3, 5, 7], [2, 9, 11, 1]), sequence([4], [6]), sequence([8, 1, 2, 3, 4, 5], [10, 12, 14])];
const settings = { temperature: 1, topK: 0, topP: 1, maxResponseTokens: 6 };

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let index = 0; index < actual.length; index++) {
    expect(Math.abs(actual[index]! - expected[index]!), `element ${index}`).toBeLessThan(tolerance);
  }
}

describe('the eager model', () => {
  it('agrees with plain loops: grouped queries, rotary positions, gates and norms, at any temperature', () => {
    for (const tied of [true, false]) {
      const tiedConfig = { ...config, tieWordEmbeddings: tied };
      const weights = new Map([
        ...lively(1),
        ...(tied ? [] : ([['lm_head.weight', { ...lively(9).get('model.embed_tokens.weight')! }]] as const)),
      ]);
      const model = createEagerModel(tiedConfig, weights);
      const logProbs = model.responseLogProbs(unequal, 0.7);
      unequal.forEach(({ promptTokens, responseTokens }, row) => {
        const [prompt, response] = [Array.from(promptTokens), Array.from(responseTokens)];
        const states = plainStates(tiedConfig, weights, [...prompt, ...response]);
        const expected = response.map(
          (token, index) => plainLogProbs(tiedConfig, weights, states[prompt.length + index - 1]!, 0.7)[token]!,
        );
        expectClose(logProbs[row]!, expected, 2e-5);
      });
      model.dispose();
    }
  });

  it('reads the reward at the last token and the value before each response token', () => {
    const [rewardWeights, valueWeights] = [lively(2, ['reward']), lively(2)];
    const rewardModel = createEagerModel(config, rewardWeights);
    const policy = createEagerModel(config, valueWeights);
    const rewards = rewardModel.rewards(unequal);
    const values = policy.values(unequal);
    const dot = (state: readonly number[], w: Float32Array) => state.reduce((sum, v, i) => sum + v * w[i]!, 0);
    unequal.forEach(({ promptTokens, responseTokens }, row) => {
      const tokens = [...Array.from(promptTokens), ...Array.from(responseTokens)];
      const last = plainStates(config, rewardWeights, tokens).at(-1)!;
      expect(rewards[row]).toBeCloseTo(dot(last, rewardWeights.get('score.weight')!.data), 4);
      const states = plainStates(config, valueWeights, tokens).slice(promptTokens.length - 1, -1);
      const bias = valueWeights.get('value_head.bias')!.data[0]!;
      expectClose(
        values[row]!,
        states.map((s) => dot(s, valueWeights.get('value_head.weight')!.data) + bias),
        1e-4,
      );
    });
    rewardModel.dispose();
    policy.dispose();
  });

  it('gives a sequence the same numbers in a batch as alone', () => {
    const model = createEagerModel(config, lively(3));
    const together = model.responseLogProbs(unequal, 1);
    unequal.forEach((one, row) => expectClose(together[row]!, model.responseLogProbs([one], 1)[0]!, 1e-5));
    model.dispose();
  });

  it('has an exact KL of zero to itself, and the sum over the vocabulary to another', () => {
    const [own, other] = [lively(4), lively(5)];
    const [model, reference] = [createEagerModel(config, own), createEagerModel(config, other)];
    for (const row of model.tokenKl(model, unequal, 1)) expectClose(row, new Float32Array(row.length), 1e-6);
    const kl = model.tokenKl(reference, unequal, 1.3);
    const tokens = [...Array.from(unequal[0]!.promptTokens), ...Array.from(unequal[0]!.responseTokens)];
    const [states, otherStates] = [plainStates(config, own, tokens), plainStates(config, other, tokens)];
    const expected = [2, 3, 4, 5].map((position) => {
      const p = plainLogProbs(config, own, states[position]!, 1.3);
      const q = plainLogProbs(config, other, otherStates[position]!, 1.3);
      return p.reduce((sum, value, token) => sum + Math.exp(value) * (value - q[token]!), 0);
    });
    expectClose(kl[0]!, expected, 1e-4);
    model.dispose();
    reference.dispose();
  });

  it('decodes with its cache what a full pass gives: log-probs agree, whatever prompts stand together', () => {
    const model = createEagerModel(config, lively(6));
    const prompts = [[3, 5, 7], [3, 5, 7], [3, 5, 7], [1], [9, 8, 7, 6, 5, 4], [9, 8, 7, 6, 5, 4]];
    const requests = prompts.map((promptTokens, row) => ({ promptTokens, randomSeed: ['x', row] }));
    const responses = model.sample(requests, { ...settings, temperature: 0.8 });
    const scored = model.responseLogProbs(
      responses.map(({ responseTokens }, row) => ({ promptTokens: prompts[row]!, responseTokens })),
      0.8,
    );
    responses.forEach((response, row) => expectClose(response.logProbs, scored[row]!, 2e-5));
    responses.forEach(({ responseTokens, ended }) => {
      expect(ended).toBe(responseTokens.at(-1) === config.eosTokenId);
      expect(responseTokens.slice(0, -1)).not.toContain(config.eosTokenId);
    });
    model.dispose();
  });

  it('samples each row from its own seed: the same response wherever it stands', () => {
    const model = createEagerModel(config, lively(7));
    const request = (row: number, prompt: number[]) => ({ promptTokens: prompt, randomSeed: ['seed', row] });
    const all = model.sample([request(0, [3, 4]), request(1, [3, 4]), request(2, [5])], settings);
    const reordered = model.sample([request(2, [5]), request(1, [3, 4])], settings);
    expect(reordered[0]!.responseTokens).toEqual(all[2]!.responseTokens);
    expect(reordered[1]!.responseTokens).toEqual(all[1]!.responseTokens);
    expect(model.sample([request(0, [3, 4])], settings)[0]).toEqual(model.sample([request(0, [3, 4])], settings)[0]);
    model.dispose();
  });

  it('samples tokens as often as they are probable, and only those that top-k and top-p leave', () => {
    const model = createEagerModel(config, lively(8));
    const n = 20_000;
    const draw = (topK: number, topP: number): number[] => {
      const counts = new Array<number>(config.vocabSize).fill(0);
      const requests = Array.from({ length: n }, (_, row) => ({ promptTokens: [3, 1], randomSeed: ['f', row] }));
      const one = { ...settings, topK, topP, maxResponseTokens: 1 };
      for (const { responseTokens } of model.sample(requests, one)) counts[responseTokens[0]!]!++;
      return counts.map((count) => count / n);
    };
    const probabilities = plainLogProbs(config, lively(8), plainStates(config, lively(8), [3, 1])[1]!, 1).map(Math.exp);
    draw(0, 1).forEach((share, token) => {
      const p = probabilities[token]!;
      expect(Math.abs(share - p)).toBeLessThan(4.5 * Math.sqrt((p * (1 - p)) / n) + 1e-4);
    });
    const order = probabilities.map((_, token) => token).sort((a, b) => probabilities[b]! - probabilities[a]!);
    const drawn = (shares: number[]) => new Set(shares.flatMap((share, token) => (share > 0 ? [token] : [])));
    expect(drawn(draw(3, 1))).toEqual(new Set(order.slice(0, 3)));
    let [sum, kept] = [0, 0];
    while (sum < 0.6) sum += probabilities[order[kept++]!]!;
    expect(drawn(draw(0, 0.6))).toEqual(new Set(order.slice(0, kept)));
    model.dispose();
  });

  it('frees every tensor that it makes', () => {
    const before = tf.memory().numTensors;
    const model = createEagerModel(config, lively(1));
    const held = tf.memory().numTensors;
    for (let round = 0; round < 3; round++) {
      model.sample(
        [
          { promptTokens: [1, 2], randomSeed: [round] },
          { promptTokens: [4], randomSeed: [1] },
        ],
        settings,
      );
      model.responseLogProbs(unequal, 1);
      model.values(unequal);
      model.tokenKl(model, unequal, 1);
      model.load(lively(round));
    }
    expect(tf.memory().numTensors).toBe(held);
    model.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  it('names a weight that is missing or of another shape', () => {
    const weights = new Map(lively(1));
    weights.delete('model.layers.1.mlp.up_proj.weight');
    expect(() => createEagerModel(config, weights)).toThrow(/lack model\.layers\.1\.mlp\.up_proj\.weight/);
    expect(() => createEagerModel({ ...config, hiddenSize: 32, heads: 8 }, lively(1))).toThrow(/has shape/);
    const model = createEagerModel(config, lively(1));
    expect(() => model.load(weights)).toThrow(/up_proj/);
    model.dispose();
  });
});
