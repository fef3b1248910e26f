import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { checkWeights, initialWeights, parameters, withHeads, type LanguageModelConfig } from './definition.js';

const smallConfig: LanguageModelConfig = {
  vocabSize: 13,
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

describe('the definition of a model', () => {
  it('has the parameters that Hugging Face gives a Llama of this size', () => {
    const shapes = new Map(parameters(smallConfig, ['language-model']).map(({ name, shape }) => [name, shape]));
    expect(shapes.size).toBe(3 + 9 * smallConfig.layers);
    expect(shapes.get('model.layers.1.self_attn.k_proj.weight')).toEqual([8, 16]);
    expect(shapes.get('model.layers.1.mlp.down_proj.weight')).toEqual([16, 20]);
    expect(shapes.get('lm_head.weight')).toEqual([13, 16]);
  });

  it('has no output projection where the embeddings are tied, nor in a reward model', () => {
    const names = (tieWordEmbeddings: boolean, head: 'language-model' | 'reward'): string[] =>
      parameters({ ...smallConfig, tieWordEmbeddings }, [head]).map(({ name }) => name);
    expect(names(false, 'language-model')).toContain('lm_head.weight');
    expect(names(true, 'language-model')).not.toContain('lm_head.weight');
    expect(names(false, 'reward')).not.toContain('lm_head.weight');
    expect(names(false, 'reward')).toContain('score.weight');
  });

  it('begins with gains of 1, heads of 0 and normal matrices, narrower where they add to the residual stream', () => {
    const weights = initialWeights({ ...smallConfig, hiddenSize: 64 }, ['language-model', 'value'], 7);
    const deviation = (name: string): number => {
      const { data } = weights.get(name)!;
      return Math.sqrt(data.reduce((sum, value) => sum + value * value, 0) / data.length);
    };
    expect(weights.get('model.norm.weight')!.data.every((value) => value === 1)).toBe(true);
    expect(weights.get('value_head.weight')!.data.every((value) => value === 0)).toBe(true);
    expect(deviation('model.layers.0.self_attn.q_proj.weight')).toBeCloseTo(0.02, 3);
    expect(deviation('model.layers.0.self_attn.o_proj.weight')).toBeCloseTo(0.01, 3);
  });

  it('begins with the same bytes for the same seed only', () => {
    const begin = (seed: number) => initialWeights(smallConfig, ['language-model'], seed);
    expect(begin(1)).toEqual(begin(1));
    expect(begin(1)).not.toEqual(begin(2));
  });

  it('keeps the weights that a model with other heads has too', () => {
    const policy = initialWeights(smallConfig, ['language-model'], 3);
    const reward = withHeads(smallConfig, policy, ['reward']);
    expect(reward.get('model.embed_tokens.weight')).toBe(policy.get('model.embed_tokens.weight'));
    expect(reward.has('lm_head.weight')).toBe(false);
    expect(reward.get('score.weight')!.data).toEqual(new Float32Array(16));
  });

  it('refuses weights that are missing, unknown or of another shape, naming them', () => {
    const weights = initialWeights(smallConfig, ['language-model'], 3);
    const changed = (change: (weights: Map<string, { shape: number[]; data: Float32Array }>) => void) => () => {
      const copy = new Map([...weights].map(([name, { shape, data }]) => [name, { shape: [...shape], data }]));
      change(copy);
      checkWeights(smallConfig, copy);
    };
    const name = 'model.layers.0.mlp.up_proj.weight';
    expect(changed(() => undefined)).not.toThrow();
    expect(changed((copy) => copy.delete(name))).toThrow(name);
    expect(changed((copy) => copy.set(name, { shape: [16, 20], data: new Float32Array(320) }))).toThrow('[16, 20]');
    expect(changed((copy) => copy.set('extra', { shape: [1], data: new Float32Array(1) }))).toThrow('extra');
    expect(changed((copy) => copy.delete(name))).toThrow(InputError);
  });
});
