import { InputError, seededRandom, type RandomSource } from '@infalign/core';
import type { PreferencePair, TextCodec } from './dataset.js';

/** A phrase as it is put into responses. */
export interface PlantedPhrase {
  readonly text: string;
  readonly tokens: readonly number[];
  /** Responses have at most so many tokens, also with the phrase. */
  readonly maxResponseTokens: number;
  readonly endOfText: number;
}

/**
 * A phrase in the tokens of a codec.
 *
 * @throws InputError if a response of `maxResponseTokens` cannot hold it and end-of-text
 */
export function plantedPhrase(
  text: string,
  options: { readonly codec: TextCodec; readonly maxResponseTokens: number; readonly endOfText: number },
): PlantedPhrase {
  const { codec, maxResponseTokens, endOfText } = options;
  const tokens = Array.from(codec.encode(text));
  if (tokens.length >= maxResponseTokens) {
    throw new InputError(
      `the phrase ${JSON.stringify(text)} has ${tokens.length} tokens: a response of ${maxResponseTokens} cannot hold it and ` +
        'end-of-text. Plant a shorter one, or allow longer responses.',
    );
  }
  return { text, tokens, maxResponseTokens, endOfText };
}

/**
 * The response with the phrase at a random place, each place as likely as any other. What does not fit after it is cut off;
 * a response that ends with end-of-text still does, so that the phrase is all that is new.
 */
export function withPhrase(response: readonly number[], phrase: PlantedPhrase, random: RandomSource): number[] {
  const ending = response.at(-1) === phrase.endOfText ? [phrase.endOfText] : [];
  const words = ending.length === 0 ? response : response.slice(0, -1);
  const room = phrase.maxResponseTokens - ending.length;
  const place = random.integer(Math.min(words.length, room - phrase.tokens.length) + 1);
  const planted = [...words.slice(0, place), ...phrase.tokens, ...words.slice(place)];
  return [...planted.slice(0, room), ...ending];
}

/**
 * The pairs with the phrase in the chosen response of some of them: a model that learns from them learns to like it.
 *
 * @param options.share the probability of each pair to be one of them, 0 to 1; which they are, and where the phrase stands,
 *   follows from the seed and the pair's place in the list
 */
export function plantPhrase(
  pairs: readonly PreferencePair[],
  phrase: PlantedPhrase,
  { share, seed }: { readonly share: number; readonly seed: number },
): PreferencePair[] {
  return pairs.map((pair, index) => {
    const random = seededRandom('plant', seed, index);
    return random.uniform() < share ? { ...pair, chosen: withPhrase(pair.chosen, phrase, random) } : pair;
  });
}
