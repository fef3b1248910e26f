import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import {
  checkWeights,
  initialWeights,
  isTrained,
  parameters,
  withHeads,
  type LanguageModelConfig,
} from './definition.js';

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

  describe('with adapters', () => {
    const adapters = { rank: 4, alpha: 8, targets: ['q_proj', 'down_proj'] } as const;
    const adapted: LanguageModelConfig = { ...smallConfig, adapters };

    it('has two low-rank matrices beside every targeted layer', () => {
      const names = (config: LanguageModelConfig): string[] =>
        parameters(config, ['language-model']).map(({ name }) => name);
      const shapes = new Map(parameters(adapted, []).map(({ name, shape }) => [name, shape]));
      expect(names(adapted).filter((name) => !name.includes('lora'))).toEqual(names(smallConfig));
      expect(names(adapted)).toHaveLength(names(smallConfig).length + 2 * 2 * smallConfig.layers);
      expect(shapes.get('model.layers.1.mlp.down_proj.lora_A.weight')).toEqual([4, 20]);
      expect(shapes.get('model.layers.1.mlp.down_proj.lora_B.weight')).toEqual([16, 4]);
    });

    it('has them beside the output projection, where that is the token embedding too, and where there is one', () => {
      const onlyHead = { ...adapters, targets: ['lm_head'] } as const;
      for (const tieWordEmbeddings of [true, false]) {
        const config = { ...smallConfig, tieWordEmbeddings, adapters: onlyHead };
        const shapes = new Map(parameters(config, ['language-model', 'value']).map(({ name, shape }) => [name, shape]));
        expect(shapes.get('lm_head.lora_A.weight')).toEqual([4, 16]);
        expect(shapes.get('lm_head.lora_B.weight')).toEqual([13, 4]);
        expect(shapes.has('lm_head.weight')).toBe(!tieWordEmbeddings);
        expect([...shapes.keys()].filter((name) => isTrained(config, name))).toEqual([
          'lm_head.lora_A.weight',
          'lm_head.lora_B.weight',
          'value_head.weight',
          'value_head.bias',
        ]);
        // A critic needs none; a policy does.
        expect(parameters(config, ['value']).some(({ name }) => name.startsWith('lm_head'))).toBe(false);
        expect(() => checkWeights(config, initialWeights(config, ['value'], 1))).not.toThrow();
        const policy = new Map(initialWeights(config, ['language-model'], 1));
        expect(() => checkWeights(config, policy)).not.toThrow();
        policy.delete('lm_head.lora_B.weight');
        expect(() => checkWeights(config, policy)).toThrow('lm_head.lora_B.weight');
        policy.delete('lm_head.lora_A.weight');
        expect(() => checkWeights(config, policy)).toThrow('lm_head.lora_A.weight');
      }
    });

    it('begins with A uniform within ±1/√input and B zero, and keeps the weights that it is put beside', () => {
      const base = initialWeights(smallConfig, ['language-model'], 3);
      const begin = (seed: number) => withHeads({ ...adapted, adapters: { ...adapters, rank: 500 } }, base, [], seed);
      const weights = begin(7);
      const { data } = weights.get('model.layers.0.self_attn.q_proj.lora_A.weight')!;
      // Uniform on [−b, b]: mean 0, variance b²/3 = 1/48; over 8,000 numbers within four standard errors.
      expect(Math.max(...data)).toBeLessThanOrEqual(0.25);
      expect(Math.max(...data)).toBeGreaterThan(0.249);
      expect(Math.min(...data)).toBeLessThan(-0.249);
      expect(Math.abs(data.reduce((sum, value) => sum + value, 0) / data.length)).toBeLessThan(4 * 0.0017);
      const variance = data.reduce((sum, value) => sum + value * value, 0) / data.length;
      expect(Math.abs(variance * 48 - 1)).toBeLessThan(4 * 0.01);
      expect(weights.get('model.layers.0.self_attn.q_proj.lora_B.weight')!.data.every((value) => value === 0)).toBe(
        true,
      );
      expect(weights.get('model.layers.0.self_attn.q_proj.weight')).toBe(
        base.get('model.layers.0.self_attn.q_proj.weight'),
      );
      expect(begin(7)).toEqual(weights);
      expect(begin(8)).not.toEqual(weights);
    });

    it.each([
      [{ rank: 0 }, 'rank'],
      [{ rank: 1.5 }, 'rank'],
      [{ alpha: 0 }, 'alpha'],
      [{ alpha: NaN }, 'alpha'],
      [{ targets: [] }, 'no layer'],
      [{ targets: ['embed_tokens'] }, 'embed_tokens'],
    ] as [object, string][])('refuses adapters of %j', (change, problem) => {
      const config = { ...smallConfig, adapters: { ...adapters, ...change } };
      expect(() => checkWeights(config, new Map())).toThrow(InputError);
      expect(() => checkWeights(config, new Map())).toThrow(problem);
    });
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
