import { describe, expect, it } from 'vitest';
import type { LanguageModelConfig, Weights } from '../definition.js';
import { stacked, stackedWeights, unstacked } from './layout.js';

/** A weight whose every element tells where it stands. */
function numbered(shape: readonly [number, number], first: number): { shape: readonly number[]; data: Float32Array } {
  return { shape, data: Float32Array.from({ length: shape[0] * shape[1] }, (_, index) => first + index) };
}

describe('weights as graphs hold them', () => {
  const prefix = 'model.layers.0.self_attn';
  // More than a square of those in which they are transposed, and no multiple of one.
  const config: LanguageModelConfig = {
    vocabSize: 40,
    hiddenSize: 70,
    intermediateSize: 96,
    layers: 1,
    heads: 5,
    keyValueHeads: 2,
    maxPositions: 16,
    ropeTheta: 10_000,
    rmsNormEpsilon: 1e-5,
    tieWordEmbeddings: true,
    eosTokenId: 0,
  };
  const weights: Weights = new Map([
    ['model.embed_tokens.weight', numbered([40, 70], 1_000_000)],
    [`${prefix}.k_proj.weight`, numbered([28, 70], 10_000)],
    [`${prefix}.q_proj.weight`, numbered([70, 70], 20_000)],
    [`${prefix}.q_proj.lora_B.weight`, numbered([70, 3], 30_000)],
    ['lm_head.lora_A.weight', numbered([3, 70], 40_000)],
    ['lm_head.lora_B.weight', numbered([40, 3], 50_000)],
  ]);
  const stacks = stackedWeights(config, weights);
  const stackOf = (name: string): (typeof stacks)[number] => stacks.find((stack) => stack.name === name)!;

  it('have the outputs of queries before those of keys, for every input, those that rotate together side by side', () => {
    const stack = stackOf(`${prefix}.qk_proj.weight`);
    expect(stack.shape).toEqual([70, 98]);
    const elements = stacked(stack, weights);
    for (let input = 0; input < 70; input++) {
      for (let output = 0; output < 98; output++) {
        // Of a head of 14, the first half are real parts, the second imaginary ones.
        const own = output < 70 ? output : output - 70;
        const row = Math.floor(own / 14) * 14 + (own % 2) * 7 + Math.floor((own % 14) / 2);
        expect(elements[input * 98 + output]).toBe((output < 70 ? 20_000 : 10_000) + row * 70 + input);
      }
    }
  });

  it.each([
    ['model.embed_tokens.weight', [40, 70]],
    [`${prefix}.q_proj.lora_B.weight`, [3, 70]],
    ['lm_head.lora_A.weight', [70, 3]],
    ['lm_head.lora_B.weight', [40, 3]],
  ])('lie inputs first, but for those by token: %s', (name, shape) => {
    expect(stackOf(name).shape).toEqual(shape);
  });

  it('are given out as they were taken in', () => {
    const given = new Map(stacks.flatMap((stack) => [...unstacked(stack, stacked(stack, weights))]));
    expect(given.size).toBe(weights.size);
    for (const [name, weight] of weights) expect(given.get(name), name).toEqual(weight);
  });
});
