import { InputError } from '@infalign/core';

/** A byte-level BPE tokenizer: any text becomes tokens and comes back unchanged. */
export interface Tokenizer {
  readonly vocabSize: number;
  /** The token that ends a text; never made from text. */
  readonly endOfText: number;
  encode(text: string): Int32Array;
  /** Bytes that are no UTF-8 (a response may end within a character) become U+FFFD; end-of-text becomes nothing. */
  decode(tokens: Iterable<number>): string;
  /** As a Hugging Face `tokenizer.json`. */
  toJson(): string;
}

/** Its text in files of Hugging Face. */
export const endOfTextToken = '<|endoftext|>';

/**
 * How text is cut into words before merging (GPT-2): contractions, words with the space before them, numbers,
 * punctuation, white space.
 */
export const wordPattern = /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+/gu;

/** The printable character that stands for each byte in files of Hugging Face (GPT-2's table). */
const byteCharacters: readonly string[] = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();
const characterBytes = new Map(byteCharacters.map((character, byte) => [character, byte]));

/** Two tokens that become one. Tokens are numbered: end-of-text 0, the bytes 1 to 256, then the merges in their order. */
export type Merge = readonly [left: number, right: number];

/** The number of the token of a byte. */
export function byteToken(byte: number): number {
  return byte + 1;
}

/** Tokens that are no merge: end-of-text and the bytes. */
export const baseTokens = 257;

const utf8 = new TextEncoder();
/** Words whose tokens are remembered: text repeats its words. */
const cachedWords = 100_000;

/** Makes a tokenizer from its merges, the most preferred first. */
export function createTokenizer(merges: readonly Merge[]): Tokenizer {
  const vocabSize = baseTokens + merges.length;
  const ranks = new Map(merges.map(([left, right], rank) => [left * vocabSize + right, rank]));
  const bytes: Uint8Array[] = [new Uint8Array(0)];
  for (let byte = 0; byte < 256; byte++) bytes.push(Uint8Array.of(byte));
  for (const [left, right] of merges) bytes.push(Uint8Array.of(...bytes[left]!, ...bytes[right]!));
  const cache = new Map<string, readonly number[]>();

  const encodeWord = (word: string): readonly number[] => {
    const known = cache.get(word);
    if (known) return known;
    const tokens = Array.from(utf8.encode(word), byteToken);
    for (;;) {
      let best = Infinity;
      let place = -1;
      for (let index = 0; index + 1 < tokens.length; index++) {
        const rank = ranks.get(tokens[index]! * vocabSize + tokens[index + 1]!);
        if (rank !== undefined && rank < best) [best, place] = [rank, index];
      }
      if (place < 0) break;
      tokens.splice(place, 2, baseTokens + best);
    }
    if (cache.size < cachedWords) cache.set(word, tokens);
    return tokens;
  };

  return {
    vocabSize,
    endOfText: 0,
    encode(text) {
      const tokens: number[] = [];
      // A lone surrogate is no text: it is replaced as UTF-8 encoders do, here too before words are told apart.
      for (const [word] of text.toWellFormed().matchAll(wordPattern)) tokens.push(...encodeWord(word));
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
      const name = (token: number): string => Array.from(bytes[token]!, (byte) => byteCharacters[byte]!).join('');
      const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
      const vocabulary: Record<string, number> = { [endOfTextToken]: 0 };
      for (let token = 1; token < vocabSize; token++) vocabulary[name(token)] = token;
      return `${JSON.stringify(
        {
          version: '1.0',
          truncation: null,
          padding: null,
          added_tokens: [
            {
              id: 0,
              content: endOfTextToken,
              single_word: false,
              lstrip: false,
              rstrip: false,
              normalized: false,
              special: true,
            },
          ],
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
            vocab: vocabulary,
            merges: merges.map(([left, right]) => [name(left), name(right)]),
          },
        },
        null,
        1,
      )}\n`;
    },
  };
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
  let model: { readonly vocab?: unknown; readonly merges?: unknown } | undefined;
  try {
    model = (JSON.parse(json) as { model?: typeof model }).model;
  } catch {
    throw refuse('is not JSON');
  }
  const { vocab, merges } = model ?? {};
  if (typeof vocab !== 'object' || vocab === null || !Array.isArray(merges))
    throw refuse('has no vocabulary or no merges');
  const vocabulary = vocab as Readonly<Record<string, number>>;
  if (vocabulary[endOfTextToken] !== 0) throw refuse(`does not number ${endOfTextToken} as 0`);
  for (const [character, byte] of characterBytes) {
    if (vocabulary[character] !== byteToken(byte)) throw refuse(`does not number byte ${byte} as ${byteToken(byte)}`);
  }
  return createTokenizer(
    merges.map((merge: unknown, rank): Merge => {
      const [left, right] = Array.isArray(merge) ? (merge as string[]).map((part) => vocabulary[part]) : [];
      if (left === undefined || right === undefined) throw refuse(`has a merge of unknown tokens (number ${rank})`);
      if (vocabulary[(merge as string[]).join('')] !== baseTokens + rank)
        throw refuse(`does not number merge ${rank} in order`);
      return [left, right];
    }),
  );
}
