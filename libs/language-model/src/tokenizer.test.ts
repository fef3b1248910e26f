import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createTokenizer, parseTokenizer } from './tokenizer.js';
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

  it('decodes a response that ends within a character, and nothing for end-of-text', () => {
    const bytes = createTokenizer([]);
    expect(bytes.decode(bytes.encode('é').slice(0, 1))).toBe('\uFFFD');
    expect(bytes.decode([bytes.endOfText])).toBe('');
  });

  it('reads what it wrote, and refuses other files by name', () => {
    const read = parseTokenizer(tokenizer.toJson(), 'tokenizer.json');
    expect(read.encode(text)).toEqual(tokenizer.encode(text));
    for (const damaged of ['{', '{}', tokenizer.toJson().replace('"<|endoftext|>": 0', '"<|endoftext|>": 7')]) {
      expect(() => parseTokenizer(damaged, 'tokenizer.json')).toThrow(/^tokenizer\.json: /);
    }
  });

  it('says when the text is too small for the vocabulary', () => {
    expect(() => trainTokenizer(['abc'], 300)).toThrow(/only \d+ different tokens/);
  });
});
