import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError, seededRandom } from '@infalign/core';
import { decodeSafetensors, encodeSafetensors } from '@infalign/checkpoint';
import { describe, expect, it } from 'vitest';
import {
  initialWeights,
  isTrained,
  type AdapterSettings,
  type Head,
  type LanguageModelConfig,
  type ModelData,
  type Weights,
} from '../definition.js';
import { pretrainedFiles, readPretrained } from '../pretrained/pretrained-files.js';
import { adapterFiles, readAdapters } from './adapter-files.js';
import { merged } from './merged.js';
import { openAdapters } from './open-adapters.js';

const plain: LanguageModelConfig = {
  vocabSize: 8,
  hiddenSize: 4,
  intermediateSize: 6,
  layers: 2,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 8,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};
const settings: AdapterSettings = { rank: 2, alpha: 3, targets: ['v_proj', 'up_proj'] };

/** A model with adapters whose weights are all different. */
function adapted(
  heads: readonly Head[] = ['language-model'],
  adapters = settings,
  tieWordEmbeddings = true,
): ModelData {
  const config = { ...plain, tieWordEmbeddings, adapters };
  const weights = new Map(
    [...initialWeights(config, heads, 1)].map(([name, { shape, data }]) => {
      const random = seededRandom('adapted', name);
      return [name, { shape, data: data.map(() => random.normal()) }];
    }),
  );
  return { config, weights };
}

function baseOf({ config, weights }: ModelData): ModelData {
  const { tieWordEmbeddings } = config;
  return {
    config: { ...plain, tieWordEmbeddings },
    weights: new Map([...weights].filter(([name]) => !name.includes('lora'))),
  };
}

/** The files with their settings, or their weights, changed. */
function changed(
  model: ModelData,
  change: { readonly settings?: object; readonly weights?: (weights: Map<string, unknown>) => void },
): Map<string, Buffer> {
  const files = asBuffers(adapterFiles(model));
  if (change.settings) {
    const all = JSON.parse(files.get('adapter_config.json')!.toString()) as object;
    files.set('adapter_config.json', Buffer.from(JSON.stringify({ ...all, ...change.settings })));
  }
  if (change.weights) {
    const weights = new Map<string, unknown>(decodeSafetensors(files.get('adapter_model.safetensors')!, 'x'));
    change.weights(weights);
    files.set('adapter_model.safetensors', encodeSafetensors(weights as Weights));
  }
  return files;
}

function asBuffers(files: ReadonlyMap<string, string | Uint8Array>): Map<string, Buffer> {
  return new Map([...files].map(([name, content]) => [name, Buffer.from(content as Uint8Array)]));
}

describe('files of adapters', () => {
  it('have the names that PEFT gives adapters, and nothing that is not trained', () => {
    const model = adapted();
    const files = adapterFiles(model);
    expect([...files.keys()]).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    const weights = decodeSafetensors(asBuffers(files).get('adapter_model.safetensors')!, 'weights');
    expect([...weights.keys()]).toEqual(
      [0, 1].flatMap((layer) =>
        ['mlp.up_proj', 'self_attn.v_proj'].flatMap((module) =>
          ['A', 'B'].map((part) => `base_model.model.model.layers.${layer}.${module}.lora_${part}.weight`),
        ),
      ),
    );
    expect(weights.get('base_model.model.model.layers.1.mlp.up_proj.lora_B.weight')).toEqual(
      model.weights.get('model.layers.1.mlp.up_proj.lora_B.weight'),
    );
    expect(JSON.parse(files.get('adapter_config.json') as string)).toMatchObject({
      peft_type: 'LORA',
      task_type: 'CAUSAL_LM',
      r: 2,
      lora_alpha: 3,
      target_modules: ['v_proj', 'up_proj'],
    });
  });

  it.each([
    ['a policy', ['language-model']],
    ['a policy with a value head', ['language-model', 'value']],
    ['a reward model', ['reward']],
  ] as const)('of %s are read as they were written, beside the model without its heads', (_, heads) => {
    const model = adapted(heads);
    const trained = new Map([...model.weights].filter(([name]) => isTrained(model.config, name)));
    const files = asBuffers(adapterFiles({ ...model, weights: trained }));
    const frozen = new Map([...model.weights].filter(([name]) => !trained.has(name)));
    const read = readAdapters(files, 'folder', { config: plain, weights: frozen });
    expect(read.config).toEqual(model.config);
    expect(new Map([...read.weights].sort())).toEqual(new Map([...model.weights].sort()));
  });

  it.each([true, false])(
    'of the output projection are read as they were written (tied to the embedding: %s)',
    (tied) => {
      const model = adapted(['language-model'], { ...settings, targets: ['v_proj', 'lm_head'] }, tied);
      const files = asBuffers(adapterFiles(model));
      expect([...decodeSafetensors(files.get('adapter_model.safetensors')!, 'x').keys()]).toContain(
        'base_model.model.lm_head.lora_A.weight',
      );
      expect(JSON.parse(files.get('adapter_config.json')!.toString())).toMatchObject({
        target_modules: ['v_proj', 'lm_head'],
      });
      expect(readAdapters(files, 'folder', baseOf(model))).toEqual(model);
    },
  );

  it('are read from a folder', () => {
    const model = adapted();
    const folder = mkdtempSync(join(tmpdir(), 'adapters-'));
    try {
      for (const [name, content] of adapterFiles(model)) writeFileSync(join(folder, name), content);
      writeFileSync(join(folder, 'README.md'), '# PEFT writes one');
      expect(openAdapters(folder, baseOf(model))).toEqual(model);
      expect(() => openAdapters(join(folder, 'other'), baseOf(model))).toThrow(InputError);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('say α for the rank where they are rank-stabilised', () => {
    const model = adapted();
    const files = changed(model, { settings: { use_rslora: true, lora_alpha: 4 } });
    // α/√r = α'/r
    expect(readAdapters(files, 'folder', baseOf(model)).config.adapters!.alpha / 2).toBeCloseTo(4 / Math.SQRT2, 12);
  });

  it.each([
    ['DoRA', { settings: { use_dora: true } }, 'use_dora'],
    ['ranks of their own for some layers', { settings: { rank_pattern: { v_proj: 3 } } }, 'rank_pattern'],
    ['biases', { settings: { bias: 'all' } }, 'bias'],
    ['another method', { settings: { peft_type: 'IA3' } }, 'IA3'],
    ['weights that were changed with them', { settings: { init_lora_weights: 'pissa' } }, 'init_lora_weights'],
    ['another rank than their weights', { settings: { r: 3 } }, 'lora_A'],
    ['no rank', { settings: { r: null } }, 'r is null'],
    ['no scale', { settings: { lora_alpha: 0 } }, 'lora_alpha'],
    [
      'a layer that lacks one',
      {
        weights: (all: Map<string, unknown>) => all.delete('base_model.model.model.layers.1.mlp.up_proj.lora_A.weight'),
      },
      'model.layers.1.mlp.up_proj.lora_A.weight',
    ],
    [
      'embeddings',
      {
        weights: (all: Map<string, unknown>) =>
          all.set('base_model.model.model.embed_tokens.weight', { shape: [1], data: new Float32Array(1) }),
      },
      'embed_tokens',
    ],
  ])('with %s are refused', (_, change, problem) => {
    const model = adapted();
    const read = (): unknown => readAdapters(changed(model, change), 'folder', baseOf(model));
    expect(read).toThrow(InputError);
    expect(read).toThrow(/^folder\/adapter_/);
    expect(read).toThrow(problem);
  });

  it('are refused where a file is missing or no JSON', () => {
    const model = adapted();
    for (const name of ['adapter_config.json', 'adapter_model.safetensors']) {
      const files = asBuffers(adapterFiles(model));
      files.delete(name);
      expect(() => readAdapters(files, 'folder', baseOf(model))).toThrow(name);
    }
    const files = asBuffers(adapterFiles(model)).set('adapter_config.json', Buffer.from('{'));
    expect(() => readAdapters(files, 'folder', baseOf(model))).toThrow('is not JSON');
  });

  it('are not written of a model that has none, or of weights of other adapters', () => {
    expect(() => adapterFiles(baseOf(adapted()))).toThrow(InputError);
    const others = adapted(['language-model'], { ...settings, rank: 3 });
    expect(() => adapterFiles({ config: { ...plain, adapters: settings }, weights: others.weights })).toThrow('lora_A');
  });
});

describe('merging adapters', () => {
  it('adds (α/r)·B·A to the weights beside them, as worked out by hand, and leaves the others alone', () => {
    const model = adapted();
    const whole = merged(model);
    expect(whole.config).toEqual(plain);
    expect([...whole.weights.keys()]).toEqual([...baseOf(model).weights.keys()]);
    const at = (name: string): Float32Array => model.weights.get(`model.layers.0.self_attn.v_proj.${name}`)!.data;
    const [w, a, b] = [at('weight'), at('lora_A.weight'), at('lora_B.weight')];
    // W is [2, 4], A is [2, 4], B is [2, 2]; α/r = 3/2.
    const expected = w[4 + 3]! + 1.5 * (b[2]! * a[3]! + b[3]! * a[4 + 3]!);
    expect(whole.weights.get('model.layers.0.self_attn.v_proj.weight')!.data[4 + 3]).toBeCloseTo(expected, 5);
    const name = 'model.layers.0.self_attn.q_proj.weight';
    expect(whole.weights.get(name)).toBe(model.weights.get(name));
    expect(merged(whole)).toBe(whole);
  });

  it('gives a model whose output projection was its embedding one of its own', () => {
    const model = adapted(['language-model'], { ...settings, targets: ['lm_head'] });
    const whole = merged(model);
    expect(whole.config).toEqual({ ...plain, tieWordEmbeddings: false });
    const at = (name: string): Float32Array => model.weights.get(name)!.data;
    const [e, a, b] = [at('model.embed_tokens.weight'), at('lm_head.lora_A.weight'), at('lm_head.lora_B.weight')];
    // E is [8, 4], A is [2, 4], B is [8, 2]; α/r = 3/2.
    const expected = e[5 * 4 + 1]! + 1.5 * (b[5 * 2]! * a[1]! + b[5 * 2 + 1]! * a[4 + 1]!);
    expect(whole.weights.get('lm_head.weight')!.data[5 * 4 + 1]).toBeCloseTo(expected, 5);
    expect(whole.weights.get('model.embed_tokens.weight')).toBe(model.weights.get('model.embed_tokens.weight'));
    const files = asBuffers(pretrainedFiles({ ...model, tokenizerJson: '{}' }));
    expect(readPretrained(files, 'folder').config).toEqual(whole.config);
  });

  it('is what the files of a whole model hold', () => {
    const model = adapted();
    const files = asBuffers(pretrainedFiles({ ...model, tokenizerJson: '{}' }));
    const read = readPretrained(files, 'folder');
    expect(read.config).toEqual(plain);
    expect(new Map([...read.weights].sort())).toEqual(new Map([...merged(model).weights].sort()));
  });
});
