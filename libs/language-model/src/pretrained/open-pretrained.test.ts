import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { encodeSafetensors } from '@infalign/checkpoint';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { initialWeights, type Weights } from '../definition.js';
import { parseTokenizer } from '../tokenizer-json.js';
import { tinyConfig, tinyGguf, tinyWeights, writeGguf } from './gguf.fixture.js';
import { openPretrained } from './open-pretrained.js';
import { pretrainedFiles } from './pretrained-files.js';

let folder: string;
beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'pretrained-'))));
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, content: string | Uint8Array | object) =>
  writeFileSync(
    join(folder, name),
    typeof content === 'string' || content instanceof Uint8Array ? content : JSON.stringify(content),
  );
const some = (wanted: (name: string) => boolean, weights = tinyWeights): Weights =>
  new Map([...weights].filter(([name]) => wanted(name)));

/** A tiny model out of a GGUF file, which lies beside the folder. */
function tiny() {
  const path = join(folder, 'tiny.gguf');
  writeFileSync(path, writeGguf(tinyGguf()));
  const model = openPretrained(path);
  rmSync(path);
  return model;
}

/** Writes what Hugging Face has of SmolLM2, but tiny, without weights. */
function writeFolder(change: object = {}) {
  const { tokenizerJson, tokenizerConfigJson } = tiny();
  write('tokenizer.json', tokenizerJson);
  write('tokenizer_config.json', tokenizerConfigJson!);
  write('config.json', {
    architectures: ['LlamaForCausalLM'],
    attention_bias: false,
    bos_token_id: 1,
    eos_token_id: 1,
    pad_token_id: 1,
    hidden_act: 'silu',
    hidden_size: 12,
    intermediate_size: 6,
    is_llama_config: true,
    max_position_embeddings: 16,
    model_type: 'llama',
    num_attention_heads: 3,
    num_hidden_layers: 2,
    num_key_value_heads: 1,
    pretraining_tp: 1,
    rms_norm_eps: tinyConfig.rmsNormEpsilon,
    rope_interleaved: false,
    rope_scaling: null,
    rope_theta: 500,
    tie_word_embeddings: true,
    torch_dtype: 'bfloat16',
    vocab_size: 8,
    ...change,
  });
}

describe('opening a pretrained model', () => {
  it('reads a folder of Hugging Face', () => {
    writeFolder();
    write('model.safetensors', encodeSafetensors(tinyWeights));
    const { config, weights, ...tokenizer } = openPretrained(folder);
    expect(config).toEqual(tinyConfig);
    expect(weights).toEqual(tinyWeights);
    const expected = tiny();
    expect(tokenizer).toEqual({
      tokenizerJson: expected.tokenizerJson,
      tokenizerConfigJson: expected.tokenizerConfigJson,
    });
  });

  it('reads weights in shards, and leaves out what is no weight of its own', () => {
    writeFolder();
    const isFirst = (name: string) => name.includes('layers.0');
    const stray = { shape: [8, 12], data: new Float32Array(96) };
    const second = new Map(some((name) => !isFirst(name)))
      .set('lm_head.weight', stray)
      .set('model.layers.0.self_attn.rotary_emb.inv_freq', { shape: [2], data: Float32Array.of(1, 0.1) });
    write('model-00001-of-00002.safetensors', encodeSafetensors(some(isFirst)));
    write('model-00002-of-00002.safetensors', encodeSafetensors(second));
    const shard = (name: string) => `model-0000${isFirst(name) ? 1 : 2}-of-00002.safetensors`;
    const map = Object.fromEntries([...tinyWeights.keys()].map((name) => [name, shard(name)]));
    write('model.safetensors.index.json', { metadata: {}, weight_map: map });
    expect(openPretrained(folder).weights).toEqual(tinyWeights);

    const index = join(folder, 'model.safetensors.index.json');
    const first = 'model.layers.0.input_layernorm.weight';
    write('model.safetensors.index.json', { weight_map: { ...map, [first]: shard('other') } });
    expect(() => openPretrained(folder)).toThrow(`model-00002-of-00002.safetensors: lacks ${first}, which`);
    write('model.safetensors.index.json', { weight_map: { ...map, [first]: 'gone.safetensors' } });
    expect(() => openPretrained(folder)).toThrow(`${folder}: has no gone.safetensors`);
    write('model.safetensors.index.json', { weight_map: { [first]: shard(first) } });
    expect(() => openPretrained(folder)).toThrow(`${index}: The weights lack`);
    write('model.safetensors.index.json', { weight_map: { [first]: 7 } });
    expect(() => openPretrained(folder)).toThrow(`${index}: names no file for ${first}`);
    for (const [damaged, problem] of [
      ['{', 'is not JSON'],
      ['null', 'has no weight_map'],
    ] as const) {
      write('model.safetensors.index.json', damaged);
      expect(() => openPretrained(folder)).toThrow(`${index}: ${problem}`);
    }
  });

  it('takes absent fields of config.json for what transformers takes them for, and those of its fifth version', () => {
    write('model.safetensors', encodeSafetensors(tinyWeights));
    writeFolder({ rope_theta: undefined, rms_norm_eps: undefined, hidden_act: undefined, rope_scaling: undefined });
    expect(openPretrained(folder).config).toMatchObject({ ropeTheta: 10_000, rmsNormEpsilon: 1e-6 });
    writeFolder({ rope_theta: undefined, rope_parameters: { rope_theta: 700, rope_type: 'default' } });
    expect(openPretrained(folder).config.ropeTheta).toBe(700);
    writeFolder({ rope_scaling: { type: 'default' }, head_dim: 4 });
    expect(openPretrained(folder).config).toEqual(tinyConfig);
    const untied = { ...tinyConfig, tieWordEmbeddings: false, keyValueHeads: 3 };
    write('model.safetensors', encodeSafetensors(initialWeights(untied, ['language-model'], 1)));
    writeFolder({ num_key_value_heads: undefined, tie_word_embeddings: undefined });
    expect(openPretrained(folder).config).toEqual(untied);
  });

  it('refuses a tokenizer with more tokens than the model', () => {
    const smaller = { ...tinyConfig, vocabSize: 7 };
    write('model.safetensors', encodeSafetensors(initialWeights(smaller, ['language-model'], 1)));
    writeFolder({ vocab_size: 7 });
    expect(() => openPretrained(folder)).toThrow(
      `${join(folder, 'tokenizer.json')}: has 8 tokens, more than the vocab_size of config.json, 7`,
    );
  });

  it('ends texts with the tokenizer’s token where the model has several that end one', () => {
    write('model.safetensors', encodeSafetensors(tinyWeights));
    writeFolder({ eos_token_id: [0, 1] });
    expect(openPretrained(folder).config.eosTokenId).toBe(1);
    writeFolder({ eos_token_id: [3, 4] });
    expect(openPretrained(folder).config.eosTokenId).toBe(3);
    writeFolder({ eos_token_id: [5] });
    expect(openPretrained(folder).config.eosTokenId).toBe(5);
  });

  it('finds the chat template also in a file of its own', () => {
    writeFolder();
    write('model.safetensors', encodeSafetensors(tinyWeights));
    write('chat_template.jinja', '{{ other }}');
    const { tokenizerJson, tokenizerConfigJson } = openPretrained(folder);
    expect(JSON.parse(tokenizerConfigJson!)).toMatchObject({ eos_token: '<|im_end|>', chat_template: '{{ other }}' });
    expect(parseTokenizer(tokenizerJson, 't', tokenizerConfigJson).endOfText).toBe(1);
    write('tokenizer_config.json', '{');
    expect(() => openPretrained(folder)).toThrow(`${join(folder, 'tokenizer_config.json')}: is not JSON`);
  });

  it('gives back what was stored of a pretrained model, its special tokens included', () => {
    const model = tiny();
    for (const [name, content] of pretrainedFiles(model)) write(name, content);
    expect(openPretrained(folder)).toEqual(model);
    const config = JSON.parse(pretrainedFiles(model).get('config.json') as string) as object;
    expect(config).toMatchObject({ bos_token_id: 0, eos_token_id: 1, pad_token_id: 1 });
  });

  it('stores a reward model with another padding than end-of-text, where transformers reads no reward', () => {
    const model = { ...tiny(), weights: initialWeights(tinyConfig, ['reward'], 1) };
    const files = pretrainedFiles({ ...model, config: tinyConfig });
    expect(JSON.parse(files.get('config.json') as string)).toMatchObject({ eos_token_id: 1, pad_token_id: 0 });
    expect(JSON.parse(files.get('tokenizer_config.json') as string)).toMatchObject({
      eos_token: '<|im_end|>',
      pad_token: '<|endoftext|>',
    });
  });

  it('says what is not there', () => {
    expect(() => openPretrained(join(folder, 'none'))).toThrow(`${join(folder, 'none')}: is not there`);
    expect(() => openPretrained(folder)).toThrow(`${folder}: has no config.json`);
    writeFolder();
    expect(() => openPretrained(folder)).toThrow(`${folder}: has no model.safetensors`);
    mkdirSync(join(folder, 'other.json'));
    write('model.safetensors', encodeSafetensors(some((name) => !name.includes('v_proj'))));
    expect(() => openPretrained(folder)).toThrow(
      `${join(folder, 'model.safetensors')}: The weights lack model.layers.0.self_attn.v_proj.weight`,
    );
    write('tiny.gguf', 'something else entirely');
    expect(() => openPretrained(join(folder, 'tiny.gguf'))).toThrow(`${join(folder, 'tiny.gguf')}: does not begin`);
  });
});
