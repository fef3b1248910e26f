import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wordPattern } from './tokenizer-byte-pair.js';
import { createTokenizer, encodeTemplate } from './tokenizer.js';
import { trainTokenizer } from './train-tokenizer.js';

const text = 'the cat sat on the mat; the bat sat on the cat. Straße, naïve café — 東京 🙂 1234 '.repeat(20);
const tokenizer = trainTokenizer([text], 300);

describe('byte-level BPE', () => {
  it('gives back any text, also what it was not trained on', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (any) => {
        expect(tokenizer.decode(tokenizer.encode(any))).toBe(any.toWellFormed());
      }),
      { seed: 1 },
    );
  });

  it('merges the most frequent pair first, and only within words', () => {
    // "aaab" ten times: pairs aa 20, ab 10; then (aa)a… The words are cut at spaces, which stay with the word after.
    const trained = trainTokenizer(['aaab '.repeat(10)], 259);
    const json = JSON.parse(trained.toJson()) as { model: { merges: [string, string][] } };
    expect(json.model.merges[0]).toEqual(['a', 'a']);
    expect(trained.decode(trained.encode('aaab aaab'))).toBe('aaab aaab');
    for (const [left, right] of json.model.merges) expect(`${left}${right}`.slice(1)).not.toContain('Ġ');
  });

  it('applies merges in the order in which they were learned', () => {
    const [a, b, c] = [...'abc'].map((letter) => letter.charCodeAt(0) + 1) as [number, number, number];
    const ours = createTokenizer([
      [b, c],
      [a, b],
    ]);
    expect(Array.from(ours.encode('abc'))).toEqual([a, 257]);
    expect(Array.from(ours.encode('ab'))).toEqual([258]);
  });

  it('makes fewer tokens of what it was trained on than bytes, and is the same for the same text', () => {
    expect(tokenizer.encode(text).length).toBeLessThan(0.6 * Buffer.byteLength(text));
    expect(trainTokenizer([text], 300).toJson()).toBe(tokenizer.toJson());
  });

  it('decodes a response that ends within a character, and nothing for end-of-text and padding', () => {
    const bytes = createTokenizer([]);
    expect(bytes.decode(bytes.encode('é').slice(0, 1))).toBe('\uFFFD');
    expect(bytes.decode([bytes.endOfText, ...bytes.encode('a'), bytes.padding])).toBe('a');
    expect(() => bytes.decode([257])).toThrow('token 257 is not one of the 257');
  });

  it('never makes end-of-text or padding of text, also of text that spells them', () => {
    const bytes = createTokenizer([]);
    const everything = `${String.fromCodePoint(...Array(0xd800).keys())}<|endoftext|><|padding|>\uffff\u{10ffff}`;
    const made = new Set(bytes.encode(everything));
    expect(made.has(bytes.endOfText)).toBe(false);
    expect(made.has(bytes.padding)).toBe(false);
    expect(bytes.decode(bytes.encode(everything))).toBe(everything);
  });

  it('puts special tokens into the text of a template, by their names', () => {
    const bytes = createTokenizer([]);
    expect(Object.fromEntries(bytes.specialTokens)).toEqual({ '<|endoftext|>': 0, '<|padding|>': 256 });
    expect(Array.from(encodeTemplate(bytes, 'a<|endoftext|><|padding|>b<|end'))).toEqual([
      98,
      0,
      256,
      99,
      ...bytes.encode('<|end'),
    ]);
  });

  it('cuts words at the white space of Unicode, which U+0085 is and U+FEFF is not', () => {
    const cut = (text: string) => text.match(wordPattern);
    expect(cut("they're 12th\u0085 x")).toEqual(['they', "'re", ' 12', 'th', '\u0085', ' x']);
    expect(cut('.\ufeff.')).toEqual(['.\ufeff.']);
    expect(cut('a  b \n')).toEqual(['a', ' ', ' b', ' \n']);
  });

  it('encodes a word of 200,000 letters in little time', () => {
    const ours = trainTokenizer(['a'.repeat(64)], 260);
    const tokens = ours.encode('a'.repeat(200_003));
    // aa, aaaa and aaaaaaaa are tokens.
    expect(tokens).toHaveLength(25_002);
    expect(Array.from(tokens.slice(-3))).toEqual([259, 257, 98]);
  });

  it('says when the text is too small for the vocabulary', () => {
    expect(() => trainTokenizer(['abc'], 300)).toThrow(/only \d+ different tokens/);
  });
});
