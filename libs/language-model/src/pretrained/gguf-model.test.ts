import { bufferSource } from '@infalign/checkpoint';
import { InputError, seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { initialWeights } from '../definition.js';
import { parseTokenizer } from '../tokenizer-json.js';
import { readGguf } from './gguf-model.js';
import { float32Bytes, tinyConfig, tinyGguf, tinyWeights, writeGguf, type GgufContent } from './gguf.fixture.js';

const read = (content: GgufContent) => readGguf(bufferSource(writeGguf(content)), 'm.gguf');
function without<Value>(record: Readonly<Record<string, Value>>, ...keys: string[]): Record<string, Value> {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !keys.includes(key)));
}

describe('a model in a GGUF file', () => {
  it('has the weights of Hugging Face, rows of queries and keys in their places', () => {
    const model = read(tinyGguf());
    expect(model.config).toEqual(tinyConfig);
    expect(model.weights).toEqual(tinyWeights);
  });

  it('has an output projection of its own if the file has one', () => {
    const weights = initialWeights({ ...tinyConfig, tieWordEmbeddings: false }, ['language-model'], 2);
    const model = read(tinyGguf(weights));
    expect(model.config.tieWordEmbeddings).toBe(false);
    expect(model.weights).toEqual(weights);
  });

  it('has what llama.cpp takes absent metadata for', () => {
    const { metadata, tensors } = tinyGguf();
    const wide = initialWeights({ ...tinyConfig, keyValueHeads: 3 }, ['language-model'], 3);
    const others = without(metadata, 'llama.rope.freq_base', 'llama.attention.head_count_kv');
    expect(read({ metadata: others, tensors: tinyGguf(wide).tensors }).config).toMatchObject({
      ropeTheta: 10_000,
      keyValueHeads: 3,
    });
    expect(() => read({ metadata: others, tensors })).toThrow(
      'm.gguf: The weight model.layers.0.self_attn.k_proj.weight',
    );
  });

  it.each([
    { 'llama.rope.scaling.factor': ['float32', 0] },
    { 'llama.rope.scaling.factor': ['float32', 1] },
    { 'llama.rope.scaling.factor': ['float32', 8], 'llama.rope.scaling.type': ['text', 'none'] },
  ] as const)('is read where positions are not scaled: %j', (scaling) => {
    const { metadata, tensors } = tinyGguf();
    expect(read({ metadata: { ...metadata, ...scaling }, tensors }).config).toEqual(tinyConfig);
  });

  it('has the tokenizer and the chat template of the metadata', () => {
    const { tokenizerJson, tokenizerConfigJson } = read(tinyGguf());
    const tokenizer = parseTokenizer(tokenizerJson, 't', tokenizerConfigJson);
    expect(Array.from(tokenizer.encode('ab11<b><|im_end|>a'))).toEqual([6, 4, 4, 5, 2]);
    expect([tokenizer.endOfText, tokenizer.padding, tokenizer.vocabSize]).toEqual([1, 1, 8]);
    expect(JSON.parse(tokenizerConfigJson!)).toMatchObject({
      bos_token: '<|endoftext|>',
      eos_token: '<|im_end|>',
      pad_token: '<|im_end|>',
      unk_token: '<|endoftext|>',
      chat_template: '{{ messages }}',
    });
    const { metadata, tensors } = tinyGguf();
    const whole = read({ metadata: { ...metadata, 'tokenizer.ggml.pre': ['text', 'gpt-2'] }, tensors });
    expect(Array.from(parseTokenizer(whole.tokenizerJson, 't', whole.tokenizerConfigJson).encode('11'))).toEqual([7]);
  });

  const changed = (metadata: GgufContent['metadata'], tensors: GgufContent['tensors'] = {}): GgufContent => {
    const tiny = tinyGguf();
    return { metadata: { ...tiny.metadata, ...metadata }, tensors: { ...tiny.tensors, ...tensors } };
  };
  const bias = { type: 0, shape: [12], data: float32Bytes(new Float32Array(12)) };
  it.each([
    [{ 'general.architecture': ['text', 'gpt2'] }, 'general.architecture is "gpt2", but has to be "llama"'],
    [{ 'llama.block_count': ['uint32', 3] }, 'The weights lack model.layers.2.input_layernorm.weight'],
    [{ 'llama.block_count': ['uint32', 4_000_000_000] }, 'has 20 weights, too few for the 4000000000 layers'],
    [{ 'llama.context_length': ['text', 'long'] }, 'llama.context_length is "long", but has to be a number above 0'],
    [{ 'llama.embedding_length': ['float32', 1.5] }, 'llama.embedding_length is 1.5, but has to be a whole number'],
    [{ 'llama.attention.head_count': ['uint32', 4] }, 'llama.embedding_length is 12, but has to be a multiple of 2·4'],
    [{ 'llama.attention.head_count_kv': ['uint32', 2] }, 'llama.attention.head_count_kv is 2, but has to be a divisor'],
    [{ 'llama.attention.key_length': ['uint32', 6] }, 'llama.attention.key_length is 6, but has to be 4'],
    [{ 'llama.rope.dimension_count': ['uint32', 2] }, 'llama.rope.dimension_count is 2, but has to be 4'],
    [{ 'llama.rope.scaling.type': ['text', 'yarn'] }, 'llama.rope.scaling.type is "yarn", but has to be "none"'],
    [{ 'llama.rope.scaling.factor': ['float32', 8] }, 'llama.rope.scaling.factor is 8, but has to be 1'],
    [{ 'llama.expert_count': ['uint32', 8] }, 'llama.expert_count is 8, but has to be 0'],
    [{ 'tokenizer.ggml.model': ['text', 'llama'] }, 'has "llama" as tokenizer.ggml.model'],
    [{ 'tokenizer.ggml.pre': ['text', 'llama-bpe'] }, 'has the unknown pre-tokenizer "llama-bpe"'],
    [{ 'tokenizer.ggml.add_bos_token': ['bool', true] }, 'has true as tokenizer.ggml.add_bos_token'],
    [{ 'tokenizer.ggml.tokens': ['uint32', 1] }, 'has no usable tokenizer.ggml.tokens'],
    [{ 'tokenizer.ggml.token_type': ['int32', [3, 3]] }, 'has 8 tokens, but 2 token types'],
    [{ 'tokenizer.ggml.token_type': ['int32', [3, 3, 6, 1, 1, 4, 1, 1]] }, 'has the token "a" of type 6'],
    [{ 'tokenizer.ggml.merges': ['text', ['a b c']] }, 'has a malformed merge (number 0)'],
    [{ 'tokenizer.ggml.merges': ['text', ['b a']] }, 'has a merge of unknown tokens, ["b","a"]'],
    [{ 'tokenizer.ggml.eos_token_id': ['uint32', 99] }, 'has no token that ends a text, tokenizer.ggml.eos_token_id'],
    [{ 'tokenizer.ggml.eos_token_id': ['uint32', 2] }, 'has no special token "a", which is named as end of text'],
  ] satisfies [GgufContent['metadata'], string][])('with %j is refused', (metadata, problem) => {
    expect(() => read(changed(metadata))).toThrow(`m.gguf: ${problem}`);
  });

  it('with tensors that no such model has, or without one, is refused', () => {
    expect(() => read(changed({}, { 'blk.0.attn_q.bias': bias }))).toThrow('m.gguf: has the tensor blk.0.attn_q.bias');
    expect(() => read(changed({}, { 'rope_freqs.weight': bias }))).toThrow('m.gguf: has the tensor rope_freqs.weight');
    const { metadata, tensors } = tinyGguf();
    expect(() => read({ metadata, tensors: without(tensors, 'blk.1.attn_v.weight') })).toThrow(
      'm.gguf: The weights lack model.layers.1.self_attn.v_proj',
    );
  });

  it('that is cut off anywhere is refused, naming the file', () => {
    const bytes = writeGguf(tinyGguf());
    const random = seededRandom('cuts');
    const refuse = (length: number) =>
      expect(() => readGguf(bufferSource(bytes.subarray(0, length)), 'm.gguf')).toThrow(/^m\.gguf: /);
    const headerEnd = bytes.lastIndexOf('ffn_down');
    for (let length = 0; length < headerEnd; length++) refuse(length);
    // The last tensor's data end before the padding to a multiple of 32 bytes.
    for (let cut = 0; cut < 200; cut++) refuse(headerEnd + random.integer(bytes.length - 32 - headerEnd));
    expect(headerEnd).toBeGreaterThan(1500);
  });

  it('with damaged bytes in its header is read or refused, and nothing else', () => {
    const bytes = writeGguf(tinyGguf());
    const headerEnd = bytes.lastIndexOf('ffn_down') + 60;
    let refusals = 0;
    for (let index = 0; index < 3000; index++) {
      const random = seededRandom('damage', index);
      const damaged = Buffer.from(bytes);
      for (let change = random.integer(3); change >= 0; change--) {
        damaged[random.integer(headerEnd)] = [0, 1, 0xff, 0x80, random.integer(256)][random.integer(5)]!;
      }
      try {
        readGguf(bufferSource(damaged), 'm.gguf');
      } catch (error) {
        expect(error, `damage ${index}`).toBeInstanceOf(InputError);
        expect((error as Error).message).toMatch(/^m\.gguf: /);
        refusals++;
      }
    }
    expect(refusals).toBeGreaterThan(1000);
  });
});
