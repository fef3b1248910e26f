import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { wordPattern } from './tokenizer-byte-pair.js';
import { trainTokenizer } from './train-tokenizer.js';

/** Few letters, so that pairs repeat, overlap ("aaa") and tie. */
const texts = fc.array(fc.string({ unit: fc.constantFrom('a', 'b', 'c', ' ', 'é') }), { maxLength: 8 });

describe('training byte-level BPE', () => {
  it('finds the merges that counting all pairs anew before each of them finds', () => {
    fc.assert(
      fc.property(texts, fc.integer({ min: 257, max: 275 }), (some, vocabSize) => {
        const expected = mergesByRecounting(some, vocabSize);
        if (expected.length < vocabSize - 257) {
          expect(() => trainTokenizer(some, vocabSize)).toThrow(
            `only ${257 + expected.length} different tokens, fewer than the vocabulary of ${vocabSize}`,
          );
          return;
        }
        const { model } = JSON.parse(trainTokenizer(some, vocabSize).toJson()) as {
          model: { vocab: Record<string, number>; merges: string[][] };
        };
        expect(model.merges.map((merge) => merge.map((part) => model.vocab[part]))).toEqual(expected);
      }),
      { seed: 1, numRuns: 200 },
    );
  });

  it('numbers every token once: no two of them are the same bytes', () => {
    fc.assert(
      fc.property(texts, (some) => {
        const text = some.join('').repeat(3) + 'abcdefghijklmnopqrstuvwxyz';
        const { model } = JSON.parse(trainTokenizer([text], 275).toJson()) as {
          model: { vocab: Record<string, number> };
        };
        expect(Object.values(model.vocab).sort((a, b) => a - b)).toEqual(Array.from({ length: 275 }, (_, id) => id));
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  it('counts several texts as one, without merging across their borders', () => {
    const apart = trainTokenizer(['ab', 'ab', 'cd'], 258).toJson();
    expect(apart).toBe(trainTokenizer(['ab cd', 'ab'], 258).toJson());
    expect((JSON.parse(apart) as { model: { merges: unknown } }).model.merges).toEqual([['a', 'b']]);
  });

  it('of pairs as frequent as each other takes the one with the smaller numbers', () => {
    const { model } = JSON.parse(trainTokenizer(['xy', 'ab'], 259).toJson()) as { model: { merges: unknown } };
    expect(model.merges).toEqual([
      ['a', 'b'],
      ['x', 'y'],
    ]);
  });
});

function mergesByRecounting(texts: readonly string[], vocabSize: number): number[][] {
  let words = texts.flatMap((text) =>
    [...text.matchAll(wordPattern)].map(([word]) => Array.from(new TextEncoder().encode(word), (byte) => byte + 1)),
  );
  const merges: number[][] = [];
  while (257 + merges.length < vocabSize) {
    const counts = new Map<number, number>();
    for (const word of words) {
      for (let index = 0; index + 1 < word.length; index++) {
        const pair = word[index]! * 1000 + word[index + 1]!;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    const [best] = [...counts].sort(([pairA, a], [pairB, b]) => b - a || pairA - pairB);
    if (!best) break;
    const [left, right] = [Math.floor(best[0] / 1000), best[0] % 1000];
    const merged = 257 + merges.length;
    merges.push([left, right]);
    words = words.map((word) => {
      const result = [...word];
      for (let index = 0; index + 1 < result.length; index++) {
        if (result[index] === left && result[index + 1] === right) result.splice(index, 2, merged);
      }
      return result;
    });
  }
  return merges;
}
