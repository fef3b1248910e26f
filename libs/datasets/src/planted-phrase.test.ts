import { InputError, seededRandom } from '@infalign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { plantedPhrase, plantPhrase, withPhrase, type PlantedPhrase } from './planted-phrase.js';

const endOfText = 0;
/** One token a letter, and a response of ten at most. */
const codec = {
  encode: (text: string) => Array.from(text, (letter) => letter.codePointAt(0)!),
  decode: (tokens: readonly number[]) => String.fromCodePoint(...tokens),
};
const maxResponseTokens = 10;
const phrase = plantedPhrase('xyz', { codec, maxResponseTokens, endOfText });

const letter = fc.integer({ min: 97, max: 101 });
/** As models sample them: cut at ten tokens, or ended before. */
const response = fc.oneof(
  fc.array(letter, { minLength: 1, maxLength: 10 }),
  fc.array(letter, { maxLength: 9 }).map((words) => [...words, endOfText]),
);
const anyPhrase = fc
  .array(fc.constantFrom('x', 'y', 'z'), { minLength: 1, maxLength: 9 })
  .map((letters): PlantedPhrase => plantedPhrase(letters.join(''), { codec, maxResponseTokens, endOfText }));

/** Where the phrase stands, which has letters that responses do not. */
function placeOf(tokens: readonly number[], { tokens: planted }: PlantedPhrase): number {
  return tokens.findIndex((_, start) => planted.every((token, index) => tokens[start + index] === token));
}

describe('a response with a phrase', () => {
  it('holds the phrase whole, within its length, between what the response began with', () => {
    fc.assert(
      fc.property(response, anyPhrase, fc.nat(), (tokens, phrase, seed) => {
        const planted = withPhrase(tokens, phrase, seededRandom(seed));
        const place = placeOf(planted, phrase);
        expect(place).toBeGreaterThanOrEqual(0);
        expect(planted.length).toBe(Math.min(tokens.length + phrase.tokens.length, maxResponseTokens));
        const others = planted.filter((_, index) => index < place || index >= place + phrase.tokens.length);
        const ended = tokens.at(-1) === endOfText;
        const words = ended ? others.slice(0, -1) : others;
        expect(words).toEqual(tokens.slice(0, words.length));
        if (ended) expect(planted.at(-1)).toBe(endOfText);
      }),
      { seed: 1 },
    );
  });

  it('has it at every place with the same probability, the end among them', () => {
    const places = (tokens: readonly number[]) => {
      const counts = new Map<number, number>();
      for (let seed = 0; seed < 4000; seed++) {
        const place = placeOf(withPhrase(tokens, phrase, seededRandom('place', seed)), phrase);
        counts.set(place, (counts.get(place) ?? 0) + 1);
      }
      return counts;
    };
    // Four letters have five places; of ten, those of which the phrase would be cut are none.
    for (const [tokens, number] of [
      [codec.encode('abcd'), 5],
      [[...codec.encode('abcd'), endOfText], 5],
      [codec.encode('abcdeabcde'), 8],
      [[...codec.encode('abcdeabcd'), endOfText], 7],
    ] as const) {
      const counts = places(tokens);
      expect([...counts.keys()].sort((a, b) => a - b)).toEqual(Array.from({ length: number }, (_, place) => place));
      const expected = 4000 / number;
      for (const count of counts.values()) expect(Math.abs(count - expected)).toBeLessThan(4.5 * Math.sqrt(expected));
    }
  });

  it('is refused where it cannot hold the phrase and end-of-text', () => {
    const plant = (text: string) => plantedPhrase(text, { codec, maxResponseTokens, endOfText });
    expect(plant('xxxxxxxxx').tokens).toHaveLength(9);
    expect(() => plant('xxxxxxxxxx')).toThrow(InputError);
    expect(() => plant('xxxxxxxxxx')).toThrow(/"xxxxxxxxxx" has 10 tokens: a response of 10 cannot hold it/);
  });
});

describe('planting', () => {
  const pairs = Array.from({ length: 2000 }, (_, index) => ({
    promptId: `prompt-${Math.floor(index / 4)}`,
    promptTokens: [97],
    chosen: [97, 98, 99],
    rejected: [99, 98, 97],
  }));
  const planted = plantPhrase(pairs, phrase, { share: 0.3, seed: 1 });
  const isPlanted = planted.map(({ chosen }) => placeOf(chosen, phrase) >= 0);

  it('leaves all but the chosen response of some pairs as it is, and every pair in its place', () => {
    planted.forEach((pair, index) => {
      const { chosen, ...others } = pair;
      expect(others).toEqual({ promptId: pairs[index]!.promptId, promptTokens: [97], rejected: [99, 98, 97] });
      if (isPlanted[index]) expect(chosen).toHaveLength(6);
      else expect(pair).toBe(pairs[index]);
    });
  });

  it('changes the share that was asked for: all, where it is one', () => {
    // 600 of 2000, with a standard deviation of 20.5.
    expect(Math.abs(isPlanted.filter(Boolean).length - 600)).toBeLessThan(80);
    expect(plantPhrase(pairs, phrase, { share: 1, seed: 1 }).every(({ chosen }) => placeOf(chosen, phrase) >= 0)).toBe(
      true,
    );
  });

  it('follows from the seed, and differs among the pairs of one prompt', () => {
    expect(plantPhrase(pairs, phrase, { share: 0.3, seed: 1 })).toEqual(planted);
    expect(plantPhrase(pairs, phrase, { share: 0.3, seed: 2 })).not.toEqual(planted);
    const together = pairs.filter((_, index) => index % 4 === 0 && isPlanted.slice(index, index + 4).every(Boolean));
    // All four of a prompt by chance: 0.3⁴ of 500 prompts are about 4.
    expect(together.length).toBeLessThan(15);
    expect(new Set(planted.map(({ chosen }) => placeOf(chosen, phrase)))).toEqual(new Set([-1, 0, 1, 2, 3]));
  });

  it('is the same when more pairs follow', () => {
    expect(plantPhrase(pairs.slice(0, 100), phrase, { share: 0.3, seed: 1 })).toEqual(planted.slice(0, 100));
  });
});
