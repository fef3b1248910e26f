import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parseTokenizer } from './tokenizer-json.js';
import { encodeTemplate } from './tokenizer.js';
import { trainTokenizer } from './train-tokenizer.js';

const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
const digits = { type: 'Digits', individual_digits: true };
const addition = (id: number, content: string, special = true) => ({
  id,
  content,
  single_word: false,
  lstrip: false,
  rstrip: false,
  normalized: false,
  special,
});
/** As SmolLM2's is, but small: special tokens first, no token for some bytes, merges as texts. */
const small = {
  version: '1.0',
  added_tokens: [
    addition(0, '<|endoftext|>'),
    addition(1, '<|im_end|>'),
    addition(14, '<b>', false),
    addition(15, '<b>>', false),
  ],
  normalizer: null,
  pre_tokenizer: { type: 'Sequence', pretokenizers: [digits, byteLevel] },
  post_processor: null,
  decoder: byteLevel,
  model: {
    type: 'BPE',
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: false,
    vocab: {
      '<|endoftext|>': 0,
      '<|im_end|>': 1,
      a: 2,
      b: 3,
      '1': 4,
      '2': 5,
      Ġ: 6,
      '<': 7,
      '>': 8,
      ab: 9,
      Ġa: 10,
      '12': 11,
      ĠĠ: 12,
      Ġab: 13,
    },
    merges: ['Ġ a', 'a b', '1 2', 'Ġ Ġ', 'Ġa b'],
  },
};
const configJson = JSON.stringify({ eos_token: '<|im_end|>', pad_token: { content: '<|endoftext|>' } });
const tokenizer = parseTokenizer(JSON.stringify(small), 'tokenizer.json', configJson);
const ids = (text: string) => Array.from(tokenizer.encode(text));

describe('a tokenizer.json', () => {
  it('of our own comes back in the same bytes', () => {
    const text = 'the cat sat on the mat; the bat sat on the cat. Straße 🙂 1234 '.repeat(20);
    const own = trainTokenizer([text], 280);
    const read = parseTokenizer(own.toJson(), 'tokenizer.json');
    expect(read.encode(text)).toEqual(own.encode(text));
    expect(read.toJson()).toBe(own.toJson());
    expect([read.endOfText, read.padding]).toEqual([0, 256]);
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (any) => {
        expect(read.decode(read.encode(any))).toBe(any.toWellFormed());
      }),
      { seed: 1 },
    );
  });

  it('like SmolLM2’s is read: its numbers, its merges in order, digits one by one', () => {
    expect(ids('ab ab')).toEqual([9, 13]);
    expect(ids('12')).toEqual([4, 5]);
    // Words are cut within what stands between digits: the spaces before a digit are one word.
    expect(ids('a  1')).toEqual([2, 12, 4]);
    expect(ids('a  a')).toEqual([2, 6, 10]);
    expect([tokenizer.vocabSize, tokenizer.endOfText, tokenizer.padding]).toEqual([16, 1, 0]);
  });

  it('whose digits stay together merges them', () => {
    const together = parseTokenizer(JSON.stringify({ ...small, pre_tokenizer: byteLevel }), 'tokenizer.json', '{}');
    expect(Array.from(together.encode('12'))).toEqual([11]);
    expect([together.endOfText, together.padding]).toEqual([0, 0]);
  });

  it('makes added tokens of text, special ones only in templates, and of both what they stand for', () => {
    expect(ids('a<b>b')).toEqual([2, 14, 3]);
    expect(ids('a<b>>b')).toEqual([2, 15, 3]);
    expect(ids('<|im_end|>')).toEqual([7, 8]);
    expect(Array.from(encodeTemplate(tokenizer, 'a<|im_end|><b>'))).toEqual([2, 1, 14]);
    expect(tokenizer.decode([2, 1, 14, 13])).toBe('a<b> ab');
    expect(Object.fromEntries(tokenizer.specialTokens)).toEqual({ '<|endoftext|>': 0, '<|im_end|>': 1 });
  });

  it('leaves out bytes that are no token, and what is beside them then merges', () => {
    expect(ids('a\x04b')).toEqual([2, 3]);
    expect(ids(' \u{f0000}a')).toEqual([6, 2]);
    expect(ids('<\x04>')).toEqual([7, 8]);
  });

  it('may have a post-processor that adds nothing, as transformers writes', () => {
    const template = { type: 'TemplateProcessing', single: [{ Sequence: { id: 'A', type_id: 0 } }] };
    for (const post_processor of [template, byteLevel]) {
      const json = JSON.stringify({ ...small, post_processor });
      expect(parseTokenizer(json, 'tokenizer.json', configJson).toJson()).toBe(tokenizer.toJson());
    }
  });

  it('is written so that it is read the same again', () => {
    const again = parseTokenizer(tokenizer.toJson(), 'tokenizer.json', configJson);
    expect(again.toJson()).toBe(tokenizer.toJson());
    expect(Array.from(again.encode('ab  12<b> ab'))).toEqual(ids('ab  12<b> ab'));
    const written = JSON.parse(tokenizer.toJson()) as typeof small;
    expect(written.pre_tokenizer).toEqual(small.pre_tokenizer);
    expect(written.model.vocab).toEqual({ ...small.model.vocab, '<b>': 14, '<b>>': 15 });
    expect(written.model.merges).toEqual(small.model.merges.map((merge) => merge.split(' ')));
  });

  const model = (change: object) => ({ model: { ...small.model, ...change } });
  for (const [change, problem] of [
    [null, 'has no BPE model'],
    [{ model: { type: 'Unigram' } }, 'has no BPE model'],
    [model({ vocab: undefined }), 'has no BPE model'],
    [{ normalizer: { type: 'NFC' } }, 'has a normalizer'],
    [model({ byte_fallback: true }), 'has byte_fallback set to true'],
    [model({ ignore_merges: true }), 'has ignore_merges set to true'],
    [model({ unk_token: '<|endoftext|>' }), 'has an unknown token, and bytes that are no token'],
    [{ pre_tokenizer: { type: 'Metaspace' } }, 'has an unknown pre-tokenizer, {"type":"Metaspace"}'],
    [{ pre_tokenizer: null }, 'has an unknown pre-tokenizer, null'],
    [{ pre_tokenizer: { ...byteLevel, add_prefix_space: true } }, 'has an unknown pre-tokenizer'],
    [
      { pre_tokenizer: { type: 'Sequence', pretokenizers: [{ ...digits, individual_digits: false }, byteLevel] } },
      'has an unknown pre-tokenizer',
    ],
    [{ pre_tokenizer: { type: 'Sequence', pretokenizers: [digits] } }, 'has an unknown pre-tokenizer'],
    [
      {
        post_processor: {
          type: 'TemplateProcessing',
          single: [{ SpecialToken: { id: '<|im_end|>' } }, { Sequence: { id: 'A' } }],
        },
      },
      'has a post-processor that adds tokens',
    ],
    [{ decoder: null }, 'has a decoder that is not ByteLevel'],
    [{ added_tokens: [{ id: 0 }] }, 'has a malformed added token, {"id":0}'],
    [{ added_tokens: [{ ...addition(0, '<|endoftext|>'), lstrip: true }] }, 'has the added token "<|endoftext|>" with'],
    [{ added_tokens: [addition(3, '<|endoftext|>')] }, 'has two numbers for "<|endoftext|>"'],
    [{ added_tokens: [addition(99, '<x>')] }, 'does not number its 15 tokens from 0, each once ("<x>")'],
    [{ added_tokens: [addition(1, '<|im_end|>')] }, 'has no special token "<|endoftext|>", which is named as padding'],
    [
      { added_tokens: [addition(0, '<|endoftext|>'), addition(1, '<|im_end|>', false)] },
      'has no special token "<|im_e',
    ],
    [model({ vocab: { ...small.model.vocab, b: 2 } }), 'does not number its 16 tokens from 0, each once ("b")'],
    [model({ vocab: { ...small.model.vocab, b: 3.5 } }), 'does not number its 16 tokens from 0, each once ("b")'],
    [model({ vocab: { ...small.model.vocab, ' ': 16 } }), 'has the token " ", which is not made of bytes'],
    [model({ merges: ['a b c'] }), 'has a malformed merge (number 0)'],
    [model({ merges: [['a', 1]] }), 'has a malformed merge (number 0)'],
    [model({ merges: ['a constructor'] }), 'has a merge of unknown tokens, ["a","constructor"] (number 0)'],
    [model({ merges: ['b a'] }), 'has a merge of unknown tokens, ["b","a"] (number 0)'],
    [model({ merges: ['Ġa b', 'Ġ a'] }), 'has a merge out of order, ["Ġa","b"] (number 0)'],
    [model({ merges: ['a b', 'a b'] }), 'has a merge out of order, ["a","b"] (number 1)'],
  ] as const) {
    it(`that ${problem} is refused`, () => {
      const changed = change && { ...small, ...change };
      expect(() => parseTokenizer(JSON.stringify(changed), 'tokenizer.json', configJson)).toThrow(
        `tokenizer.json: ${problem}`,
      );
    });
  }

  it('that is not JSON, or has no such file beside it, is refused', () => {
    expect(() => parseTokenizer('{', 'tokenizer.json')).toThrow('tokenizer.json: is not JSON');
    expect(() => parseTokenizer(JSON.stringify(small), 't', '{')).toThrow(
      't: has a tokenizer_config.json beside it that',
    );
    expect(() => parseTokenizer(JSON.stringify(small), 't', '{"add_bos_token": true}')).toThrow(
      't: puts a token before',
    );
    expect(() => parseTokenizer(JSON.stringify(small), 't')).toThrow('t: has no special token "<|padding|>"');
  });
});
