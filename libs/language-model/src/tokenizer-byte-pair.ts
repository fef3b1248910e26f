import type { Tokenizer } from './tokenizer.js';

/**
 * How text is cut into words before merging (GPT-2): contractions, words with the space before them, numbers,
 * punctuation, white space. White space is Unicode's, as in Hugging Face's tokenizers: \s of JavaScript differs in U+0085
 * and U+FEFF.
 */
export const wordPattern =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** The printable character that stands for each byte in files of Hugging Face (GPT-2's table). */
export const byteCharacters: readonly string[] = (() => {
  const printable = (byte: number): boolean =>
    (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || (byte >= 0xae && byte <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => String.fromCodePoint(printable(byte) ? byte : next++));
})();

/** The byte that each printable character stands for. */
export const characterBytes: ReadonlyMap<string, number> = new Map(byteCharacters.map((one, byte) => [one, byte]));

/** Two tokens that become one, and which. */
export type Merge = readonly [left: number, right: number, merged: number];

/** What a byte-level BPE tokenizer is made of. */
export interface Vocabulary {
  /** The text of each token by its number: its bytes in printable characters, or as it is where the token is added. */
  readonly tokens: readonly string[];
  /** The most preferred first. What a merge takes is made by none after it. */
  readonly merges: readonly Merge[];
  /** The tokens that stand for a text of their own, which is not merged: special ones for none. */
  readonly added: ReadonlyMap<number, { readonly special: boolean }>;
  /** Whether every digit is a word of its own (StarCoder, SmolLM). */
  readonly splitsDigits: boolean;
  readonly endOfText: number;
  readonly padding: number;
}

const nothing = new Uint8Array(0);
const utf8 = new TextEncoder();
/** Words whose tokens are remembered: text repeats its words. */
const cachedWords = 100_000;

/** Makes a tokenizer of a vocabulary. */
export function createBytePairTokenizer(vocabulary: Vocabulary): Tokenizer {
  const { tokens: names, merges, added, splitsDigits, endOfText, padding } = vocabulary;
  const vocabSize = names.length;
  const ranks = new Map(merges.map(([left, right], rank) => [left * vocabSize + right, rank]));
  const bytes = names.map((name, token) => {
    const addition = added.get(token);
    if (addition) return addition.special ? nothing : utf8.encode(name);
    return Uint8Array.from(name, (character) => characterBytes.get(character)!);
  });
  const numbers = new Map(names.map((name, token) => [name, token]));
  const byteTokens = byteCharacters.map((character) => numbers.get(character));
  const addedNames = (special: boolean): Map<string, number> =>
    new Map([...added].filter(([, one]) => one.special === special).map(([token]) => [names[token]!, token]));
  const textTokens = addedNames(false);
  const cache = new Map<string, readonly number[]>();

  const encodeWord = (word: string): readonly number[] => {
    const known = cache.get(word);
    if (known) return known;
    // A byte that is no token is left out, as Hugging Face's tokenizers do.
    let tokens: readonly number[] = Array.from(utf8.encode(word)).flatMap((byte) => byteTokens[byte] ?? []);
    for (;;) {
      let best = Infinity;
      for (let index = 0; index + 1 < tokens.length; index++) {
        best = Math.min(best, ranks.get(tokens[index]! * vocabSize + tokens[index + 1]!) ?? Infinity);
      }
      if (best === Infinity) break;
      // All places at once: what a merge makes is itself merged only by later ones.
      const [left, right, merged] = merges[best]!;
      tokens = mergePair(tokens, [left, right], merged);
    }
    if (cache.size < cachedWords) cache.set(word, tokens);
    return tokens;
  };

  return {
    vocabSize,
    endOfText,
    padding,
    specialTokens: addedNames(true),
    encode(text) {
      const tokens: number[] = [];
      // A lone surrogate is no text: it is replaced as UTF-8 encoders do, here too before words are told apart.
      for (const part of splitAtNames(text.toWellFormed(), textTokens)) {
        if (typeof part === 'number') tokens.push(part);
        else {
          for (const piece of splitsDigits ? part.split(/(\p{N})/u) : [part]) {
            for (const [word] of piece.matchAll(wordPattern)) {
              for (const token of encodeWord(word)) tokens.push(token);
            }
          }
        }
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
    toJson: () => toJson(vocabulary),
  };
}

/** The tokens with every occurrence of a pair, from left to right, replaced by the token it merges into. */
export function mergePair(
  tokens: readonly number[],
  [left, right]: readonly [left: number, right: number],
  merged: number,
): number[] {
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
 * A text cut at the names of tokens: the numbers of these, and the text between them. Where names overlap, the leftmost
 * is taken, and of those the longest.
 */
export function splitAtNames(text: string, tokens: ReadonlyMap<string, number>): (string | number)[] {
  if (tokens.size === 0) return [text];
  const longestFirst = [...tokens.keys()].sort((a, b) => b.length - a.length);
  const pattern = longestFirst.map((name) => name.replace(/[\\^$.*+?()[\]{}|/-]/g, '\\$&')).join('|');
  return text.split(new RegExp(`(${pattern})`)).map((part, index) => (index % 2 === 1 ? tokens.get(part)! : part));
}

function toJson({ tokens, merges, added, splitsDigits }: Vocabulary): string {
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true };
  const digits = { type: 'Digits', individual_digits: true };
  return `${JSON.stringify(
    {
      version: '1.0',
      truncation: null,
      padding: null,
      added_tokens: Array.from(added, ([id, { special }]) => ({
        id,
        content: tokens[id],
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
        special,
      })),
      normalizer: null,
      pre_tokenizer: splitsDigits ? { type: 'Sequence', pretokenizers: [digits, byteLevel] } : byteLevel,
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
        vocab: Object.fromEntries(tokens.map((name, token) => [name, token])),
        merges: merges.map(([left, right]) => [tokens[left], tokens[right]]),
      },
    },
    null,
    1,
  )}\n`;
}
