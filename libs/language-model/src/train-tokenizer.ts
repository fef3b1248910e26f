import { InputError } from '@infalign/core';
import { mergePair, wordPattern } from './tokenizer-byte-pair.js';
import { baseTokens, byteToken, createTokenizer, type Tokenizer, type TrainedMerge } from './tokenizer.js';

interface Word {
  tokens: number[];
  readonly count: number;
}

/**
 * Trains byte-level BPE (Sennrich et al., arXiv 1508.07909): starting from bytes, the pair of neighbouring tokens that is
 * most frequent within words becomes a token, until the vocabulary is full. Equal counts go to the smaller pair of
 * numbers, so the same text gives the same tokenizer.
 *
 * @param vocabSize 257 (bytes, end-of-text and padding) or more
 * @throws InputError if the text has too few different pairs for that many tokens
 */
export function trainTokenizer(texts: Iterable<string>, vocabSize: number): Tokenizer {
  const words = countWords(texts);
  const key = (left: number, right: number): number => left * vocabSize + right;
  const counts = new Map<number, number>();
  const places = new Map<number, Set<Word>>();
  const change = (word: Word, sign: 1 | -1): void => {
    for (let index = 0; index + 1 < word.tokens.length; index++) {
      const pair = key(word.tokens[index]!, word.tokens[index + 1]!);
      counts.set(pair, (counts.get(pair) ?? 0) + sign * word.count);
      if (sign > 0) {
        const at = places.get(pair);
        if (at) at.add(word);
        else places.set(pair, new Set([word]));
      }
    }
  };
  for (const word of words) change(word, 1);

  const merges: TrainedMerge[] = [];
  while (baseTokens + merges.length < vocabSize) {
    let best = -1;
    let most = 0;
    for (const [pair, count] of counts) {
      if (count > most || (count === most && count > 0 && pair < best)) [best, most] = [pair, count];
    }
    if (most === 0) {
      throw new InputError(
        `The text has only ${baseTokens + merges.length} different tokens, fewer than the vocabulary of ${vocabSize}: ` +
          'give more text, or ask for a smaller vocabulary.',
      );
    }
    const pair: TrainedMerge = [Math.floor(best / vocabSize), best % vocabSize];
    const merged = baseTokens + merges.length;
    merges.push(pair);
    for (const word of places.get(best)!) {
      change(word, -1);
      word.tokens = mergePair(word.tokens, pair, merged);
      change(word, 1);
    }
    counts.delete(best);
    places.delete(best);
  }
  return createTokenizer(merges);
}

function countWords(texts: Iterable<string>): Word[] {
  const counts = new Map<string, number>();
  for (const text of texts) {
    for (const [word] of text.toWellFormed().matchAll(wordPattern)) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const encoder = new TextEncoder();
  return Array.from(counts, ([word, count]) => ({ tokens: Array.from(encoder.encode(word), byteToken), count }));
}
