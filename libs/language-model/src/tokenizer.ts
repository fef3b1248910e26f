import { InputError } from '@infalign/core';

/** A byte-level BPE tokenizer: any text becomes tokens and comes back unchanged. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** The token that ends a text; never made from text. */
  readonly endOfText: number;
  /** The token that Python's transformers fills up batches with; never made from text. */
  readonly padding: number;
  encode(text: string): Int32Array;
  /**
   * Bytes that are no UTF-8 (a response may end within a character) become U+FFFD; end-of-text and padding become
   * nothing.
   *
   * @throws RangeError for a number that is no token
   */
  decode(tokens: Iterable<number>): string;
  /** As a Hugging Face `tokenizer.json`. */
  toJson(): string;
}

/** What the tokens that are no text are called in files of Hugging Face. */
export const endOfTextToken = '<|endoftext|>';
export const paddingToken = '<|padding|>';

/**
 * How text is cut into words before merging (GPT-2): contractions, words with the space before them, numbers,
 * punctuation, white space. White space is Unicode's, as in Hugging Face's tokenizers: \s of JavaScript differs in U+0085
 * and U+FEFF.
 */
export const wordPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The printable character that stands for each byte in files of Hugging Face (GPT-2's table). */
const byteCharacters: readonly string[] = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();

/**
 * Two tokens that become one. Tokens are numbered: end-of-text 0, the bytes 0 to 254 from 1, padding 256, then the merges
 * in their order. Byte 255 is in no UTF-8, so that padding can have its place.
 */
export type Merge = readonly [left: number, right: number];

/** The number of the token of a byte. */
export function byteToken(byte: number): number {
  return byte + 1;
}

const endOfText = 0;
/** The number of the padding token. */
export const padding = byteToken(255);
/** Tokens that are no merge. */
export const baseTokens = 257;

const nothing = new Uint8Array(0);
const utf8 = new TextEncoder();
/** Words whose tokens are remembered: text repeats its words. */
const cachedWords = 100_000;

/** Makes a tokenizer from its merges, the most preferred first. */
export function createTokenizer(merges: readonly Merge[]): Tokenizer {
  const vocabSize = baseTokens + merges.length;
  const ranks = new Map(merges.map(([left, right], rank) => [left * vocabSize + right, rank]));
  const bytes = [nothing, ...Array.from({ length: 255 }, (_, byte) => Uint8Array.of(byte)), nothing];
  for (const [left, right] of merges) bytes.push(Uint8Array.of(...bytes[left]!, ...bytes[right]!));
  const cache = new Map<string, readonly number[]>();

  const encodeWord = (word: string): readonly number[] => {
    const known = cache.get(word);
    if (known) return known;
    let tokens: readonly number[] = Array.from(utf8.encode(word), byteToken);
    for (;;) {
      let best = Infinity;
      for (let index = 0; index + 1 < tokens.length; index++) {
        best = Math.min(best, ranks.get(tokens[index]! * vocabSize + tokens[index + 1]!) ?? Infinity);
      }
      if (best === Infinity) break;
      // All places at once: what a merge makes is itself merged only by later ones.
      tokens = mergePair(tokens, merges[best]!, baseTokens + best);
    }
    if (cache.size < cachedWords) cache.set(word, tokens);
    return tokens;
  };

  return {
    vocabSize,
    endOfText,
    padding,
    encode(text) {
      const tokens: number[] = [];
      // A lone surrogate is no text: it is replaced as UTF-8 encoders do, here too before words are told apart.
      for (const [word] of text.toWellFormed().matchAll(wordPattern)) {
        for (const token of encodeWord(word)) tokens.push(token);
      }
      return Int32Array.from(tokens);
    },
    decode(tokens) {
      const parts = Array.from(tokens, (token) => {
        const part = bytes[token];
        if (!part) throw new RangeError(`token ${token} is not one of the ${vocabSize} of this tokenizer`);
        return part;
      });
      return Buffer.concat(parts).toString('utf8');
    },
    toJson() {
      const specialNames = new Map([
        [endOfText, endOfTextToken],
        [padding, paddingToken],
      ]);
      const name = (token: number): string =>
        specialNames.get(token) ?? Array.from(bytes[token]!, (byte) => byteCharacters[byte]!).join('');
      const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
      return `${JSON.stringify(
        {
          version: '1.0',
          truncation: null,
          padding: null,
          added_tokens: Array.from(specialNames, ([id, content]) => ({
            id,
            content,
            single_word: false,
            lstrip: false,
            rstrip: false,
            normalized: false,
            special: true,
          })),
          normalizer: null,
          pre_tokenizer: byteLevel,
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
            vocab: Object.fromEntries(bytes.map((_, token) => [name(token), token])),
            merges: merges.map(([left, right]) => [name(left), name(right)]),
          },
        },
        null,
        1,
      )}\n`;
    },
  };
}

/** The tokens with every occurrence of a pair, from left to right, replaced by the token it merges into. */
export function mergePair(tokens: readonly number[], pair: Merge, merged: number): number[] {
  const left = pair[0];
  const right = pair[1];
  const result: number[] = [];
  for (let index = 0; index < tokens.length; index++) {
    if (tokens[index] === left && tokens[index + 1] === right) {
      result.push(merged);
      index++;
    } else result.push(tokens[index]!);
  }
  return result;
}

/**
 * Reads a tokenizer that `toJson` wrote.
 *
 * @param fileName for messages
 * @throws InputError if it is not a byte-level BPE tokenizer numbered as ours are
 */
export function parseTokenizer(json: string, fileName: string): Tokenizer {
  const refuse = (problem: string): InputError =>
    new InputError(`${fileName}: ${problem}. Only byte-level BPE tokenizers trained by infalign are read.`);
  let file: { readonly model?: { readonly vocab?: unknown; readonly merges?: unknown } | null } | null;
  try {
    file = JSON.parse(json) as typeof file;
  } catch {
    throw refuse('is not JSON');
  }
  const { vocab, merges } = file?.model ?? {};
  if (typeof vocab !== 'object' || vocab === null || !Array.isArray(merges))
    throw refuse('has no vocabulary or no merges');
  const numbers = new Map<unknown, unknown>(Object.entries(vocab));
  if (numbers.get(endOfTextToken) !== endOfText) throw refuse(`does not number ${endOfTextToken} as ${endOfText}`);
  for (let byte = 0; byte < 255; byte++) {
    if (numbers.get(byteCharacters[byte]) !== byteToken(byte))
      throw refuse(`does not number byte ${byte} as ${byteToken(byte)}`);
  }
  if (numbers.size !== baseTokens + merges.length)
    throw refuse(`has ${numbers.size} tokens, where its ${merges.length} merges make ${baseTokens + merges.length}`);
  return createTokenizer(
    merges.map((merge: unknown, rank): Merge => {
      const parts: unknown[] = Array.isArray(merge) ? merge : [];
      const [left, right] = parts.map((part) => numbers.get(part));
      if (parts.length !== 2 || typeof left !== 'number' || typeof right !== 'number')
        throw refuse(`has a merge of unknown tokens (number ${rank})`);
      if (numbers.get(parts.join('')) !== baseTokens + rank) throw refuse(`does not number merge ${rank} in order`);
      return [left, right];
    }),
  );
}
