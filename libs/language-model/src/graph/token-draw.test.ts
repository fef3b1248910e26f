import '@tensorflow/tfjs-node';
import { seededRandom, type RandomSource } from '@infalign/core';
import { compile, Graph, NativeTensor } from '@infalign/tensor-graph';
import { describe, expect, it } from 'vitest';
import { drawToken } from '../token-choice.js';
import { drawnTokens, mostUniform } from './token-draw.js';

const plain = { temperature: 1, topK: 0, topP: 1, maxResponseTokens: 1 };

/** Gives some numbers, one after another. */
function given(uniforms: readonly number[]): RandomSource {
  const left = [...uniforms];
  return { uniform: () => left.shift()! } as RandomSource;
}

/** Draws by graph. */
function drawnByGraph(
  probabilities: Float32Array,
  vocabulary: number,
  uniforms: readonly (readonly [number, number])[],
): { readonly tokens: number[]; readonly logProbs: number[] } {
  const graph = new Graph();
  const fn = compile(
    graph,
    drawnTokens(
      graph.input('probabilities', 'float32', ['rows', vocabulary]),
      graph.input('blocks', 'float32', ['rows']),
      graph.input('tokens', 'float32', ['rows']),
    ),
  );
  const rows = uniforms.length;
  const feeds = {
    probabilities: NativeTensor.of(probabilities, [rows, vocabulary]),
    blocks: NativeTensor.of(
      Float32Array.from(uniforms, ([block]) => block),
      [rows],
    ),
    tokens: NativeTensor.of(
      Float32Array.from(uniforms, ([, token]) => token),
      [rows],
    ),
  };
  try {
    const { tokens, logProbs } = fn.run(feeds);
    return { tokens: Array.from(tokens.take()), logProbs: Array.from(logProbs.take()) };
  } finally {
    for (const feed of Object.values(feeds)) feed.dispose();
    fn.dispose();
  }
}

/** Rows that add up to 1, of which most of the mass is in few places and much is 0. */
function someProbabilities(rows: number, vocabulary: number): Float32Array {
  const random = seededRandom('probabilities', vocabulary);
  const all = new Float32Array(rows * vocabulary);
  for (let row = 0; row < rows; row++) {
    const weights = Array.from({ length: vocabulary }, () =>
      random.uniform() < 0.4 ? 0 : Math.exp(3 * random.normal()),
    );
    weights[row % vocabulary]! += 1e-3;
    const total = weights.reduce((sum, weight) => sum + weight, 0);
    weights.forEach((weight, token) => (all[row * vocabulary + token] = weight / total));
  }
  return all;
}

describe('tokens that a graph draws', () => {
  // A vocabulary of one token; a prime one, whose blocks have a token each; a product; and a usual one.
  it.each([1, 13, 15, 2048])('are those that are drawn without it, of %i', (vocabulary) => {
    const rows = 300;
    const random = seededRandom('uniforms', vocabulary);
    const edges = [0, mostUniform];
    const uniforms = Array.from({ length: rows }, (_, row): [number, number] => [
      edges[row] ?? Math.fround(random.uniform()),
      edges[row] ?? Math.fround(random.uniform()),
    ]);
    const probabilities = someProbabilities(rows, vocabulary);
    const { tokens, logProbs } = drawnByGraph(probabilities, vocabulary, uniforms);
    uniforms.forEach((each, row) => {
      const expected = drawToken(probabilities, row * vocabulary, vocabulary, plain, given(each));
      expect(tokens[row], `row ${row}`).toBe(expected);
      const probability = probabilities[row * vocabulary + expected]!;
      expect(probability).toBeGreaterThan(0);
      expect(Math.abs(logProbs[row]! - Math.log(probability))).toBeLessThan(2e-6);
    });
  });

  it('have no finite log-probability where a softmax has none', () => {
    const { logProbs } = drawnByGraph(Float32Array.of(NaN, NaN, NaN, 0.25, 0.5, 0.25), 3, [
      [0.7, 0.5],
      [0.7, 0.5],
    ]);
    expect(logProbs.map(Number.isFinite)).toEqual([false, true]);
  });
});
