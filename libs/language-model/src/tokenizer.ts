import { byteCharacters, createBytePairTokenizer, splitAtNames } from './tokenizer-byte-pair.js';

/**
 * A byte-level BPE tokenizer: any text becomes tokens and comes back unchanged, but for bytes that a pretrained vocabulary
 * lacks (SmolLM2 has no token for some control characters): these are left out.
 */
export interface Tokenizer {
  readonly vocabSize: number;
  /** The token that ends a text; never made from text. */
  readonly endOfText: number;
  /** The token that Python's transformers fills up batches with; never made from text. */
  readonly padding: number;
  /** The tokens that are never made from text, by name: end-of-text, padding, marks of a chat template. */
  readonly specialTokens: ReadonlyMap<string, number>;
  /** The tokens of a text; of a text that spells a special token's name, the tokens of its letters. */
  encode(text: string): Int32Array;
  /**
   * Bytes that are no UTF-8 (a response may end within a character) become U+FFFD; special tokens become nothing.
   *
   * @throws RangeError for a number that is no token
   */
  decode(tokens: Iterable<number>): string;
  /** As a Hugging Face `tokenizer.json`. */
  toJson(): string;
}

/** What the tokens that are no text are called by tokenizers trained here. */
export const endOfTextToken = '<|endoftext|>';
export const paddingToken = '<|padding|>';

/**
 * Two tokens that become one, in a tokenizer trained here. Its tokens are numbered: end-of-text 0, the bytes 0 to 254 from
 * 1, padding 256, then the merges in their order. Byte 255 is in no UTF-8, so that padding can have its place.
 */
export type TrainedMerge = readonly [left: number, right: number];

/** The number of the token of a byte. */
export function byteToken(byte: number): number {
  return byte + 1;
}

const endOfText = 0;
/** The number of the padding token. */
export const padding = byteToken(255);
/** Tokens that are no merge. */
export const baseTokens = 257;

/** Makes a tokenizer from its merges, the most preferred first. */
export function createTokenizer(merges: readonly TrainedMerge[]): Tokenizer {
  const tokens = [endOfTextToken, ...byteCharacters.slice(0, 255), paddingToken];
  for (const [left, right] of merges) tokens.push(`${tokens[left]}${tokens[right]}`);
  return createBytePairTokenizer({
    tokens,
    merges: merges.map(([left, right], rank) => [left, right, baseTokens + rank]),
    added: new Map([
      [endOfText, { special: true }],
      [padding, { special: true }],
    ]),
    splitsDigits: false,
    endOfText,
    padding,
  });
}

/**
 * The tokens of a text in which the names of special tokens stand for these. For text that a template made: in the text of
 * users a name is text, which `encode` makes of it.
 */
export function encodeTemplate(tokenizer: Tokenizer, text: string): Int32Array {
  return Int32Array.from(
    splitAtNames(text, tokenizer.specialTokens).flatMap((part) =>
      typeof part === 'number' ? [part] : Array.from(tokenizer.encode(part)),
    ),
  );
}
