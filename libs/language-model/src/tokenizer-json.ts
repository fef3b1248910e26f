import { InputError } from '@infalign/core';
import { byteCharacters, characterBytes, createBytePairTokenizer, type Merge } from './tokenizer-byte-pair.js';
import { endOfTextToken, paddingToken, type Tokenizer } from './tokenizer.js';

/** What files say of a byte-level BPE tokenizer; tokens by name. */
export interface TokenizerDescription {
  /** The name of each token by its number. */
  readonly tokens: readonly string[];
  readonly merges: readonly (readonly [left: string, right: string])[];
  readonly added: ReadonlyMap<number, { readonly special: boolean }>;
  readonly splitsDigits: boolean;
  /** A special token. */
  readonly endOfText: string;
  /** A special token. */
  readonly padding: string;
}

/** What a file that cannot be read as a tokenizer is refused with. */
export type Refuse = (problem: string) => InputError;

/**
 * Makes a tokenizer of what files say.
 *
 * @throws InputError made by `refuse`, if tokens, merges and special tokens do not belong together
 */
export function describedTokenizer(description: TokenizerDescription, refuse: Refuse): Tokenizer {
  const { tokens, added, splitsDigits } = description;
  const numbers = new Map(tokens.map((name, token) => [name, token]));
  if (numbers.size !== tokens.length) {
    const twice = tokens.find((name, token) => numbers.get(name) !== token);
    throw refuse(`has two tokens ${JSON.stringify(twice)}`);
  }
  tokens.forEach((name, token) => {
    if (!added.has(token) && !(name && [...name].every((character) => characterBytes.has(character)))) {
      throw refuse(`has the token ${JSON.stringify(name)}, which is not made of bytes`);
    }
  });
  const special = (role: string, name: string): number => {
    const token = numbers.get(name);
    if (token === undefined || !added.get(token)?.special) {
      throw refuse(`has no special token ${JSON.stringify(name)}, which is named as ${role}`);
    }
    return token;
  };
  // The merges are applied in their order, which gives what Hugging Face's priority queue gives only if no merge takes
  // what a later one makes.
  const made = new Set(byteCharacters);
  const merges = description.merges.map(([left, right], rank): Merge => {
    const names = [left, right, left + right].map((name) => numbers.get(name));
    const [first, second, merged] = names;
    if (first === undefined || second === undefined || merged === undefined || added.has(merged)) {
      throw refuse(`has a merge of unknown tokens, ${JSON.stringify([left, right])} (number ${rank})`);
    }
    if (!made.has(left) || !made.has(right) || made.has(left + right)) {
      throw refuse(`has a merge out of order, ${JSON.stringify([left, right])} (number ${rank})`);
    }
    made.add(left + right);
    return [first, second, merged];
  });
  return createBytePairTokenizer({
    tokens,
    merges,
    added,
    splitsDigits,
    endOfText: special('end of text', description.endOfText),
    padding: special('padding', description.padding),
  });
}

/**
 * Reads a Hugging Face tokenizer of byte-level BPE: one that `toJson` wrote, or one like GPT-2's or SmolLM2's.
 *
 * @param json the text of `tokenizer.json`
 * @param fileName for messages
 * @param configJson the text of `tokenizer_config.json`, which names end-of-text and padding; without it they are called
 *   as in tokenizers trained here
 * @throws InputError if it is not JSON, or a tokenizer that works in another way
 */
export function parseTokenizer(json: string, fileName: string, configJson?: string): Tokenizer {
  const refuse: Refuse = (problem) =>
    new InputError(
      `${fileName}: ${problem}. Only byte-level BPE tokenizers are read, of the kind that GPT-2, SmolLM2 and infalign have.`,
    );
  const file = parseObject(json, refuse);
  const model = asObject(file.model);
  const { vocab, merges } = model;
  if (model.type !== 'BPE' || typeof vocab !== 'object' || vocab === null || !Array.isArray(merges))
    throw refuse('has no BPE model with vocabulary and merges');
  if (isSet(file.normalizer)) throw refuse('has a normalizer');
  for (const key of ['dropout', 'continuing_subword_prefix', 'end_of_word_suffix', 'byte_fallback', 'ignore_merges']) {
    if (isSet(model[key])) throw refuse(`has ${key} set to ${JSON.stringify(model[key])}`);
  }
  const splitsDigits = parsePreTokenizer(file.pre_tokenizer, refuse);
  if (isSet(file.post_processor) && !addsNothing(asObject(file.post_processor))) {
    throw refuse('has a post-processor that adds tokens to every text');
  }
  if (asObject(file.decoder).type !== 'ByteLevel') throw refuse('has a decoder that is not ByteLevel');

  const numbers = new Map<string, unknown>(Object.entries(vocab));
  if (isSet(model.unk_token) && !byteCharacters.every((character) => numbers.has(character)))
    throw refuse('has an unknown token, and bytes that are no token');
  const added = parseAdded(file.added_tokens, numbers, refuse);
  const tokens = Array<string>(numbers.size);
  for (const [name, token] of numbers) {
    if (!Number.isSafeInteger(token) || Number(token) < 0 || Number(token) >= tokens.length || Number(token) in tokens)
      throw refuse(`does not number its ${tokens.length} tokens from 0, each once (${JSON.stringify(name)})`);
    tokens[Number(token)] = name;
  }
  const config = configJson === undefined ? undefined : parseObject(configJson, refuse, 'tokenizer_config.json');
  if (config?.add_bos_token === true) throw refuse('puts a token before every text (add_bos_token)');
  const role = (key: string, otherwise: string): string =>
    config === undefined ? otherwise : (tokenName(config[key]) ?? otherwise);
  const endOfText = role('eos_token', endOfTextToken);
  return describedTokenizer(
    {
      tokens,
      merges: merges.map((merge: unknown, rank) => {
        const parts: unknown = typeof merge === 'string' ? merge.split(' ') : merge;
        if (!isPair(parts)) throw refuse(`has a malformed merge (number ${rank})`);
        return parts;
      }),
      added,
      splitsDigits,
      endOfText,
      padding: role('pad_token', config === undefined ? paddingToken : endOfText),
    },
    refuse,
  );
}

/** The name of a token in `tokenizer_config.json`, where it is a string or an object; undefined if there is none. */
export function tokenName(value: unknown): string | undefined {
  const name = typeof value === 'string' ? value : asObject(value).content;
  return typeof name === 'string' ? name : undefined;
}

/** Whether digits are words of their own. */
function parsePreTokenizer(value: unknown, refuse: Refuse): boolean {
  const outer = asObject(value);
  const steps: unknown = outer.type === 'Sequence' ? outer.pretokenizers : [outer];
  if (Array.isArray(steps) && (steps.length === 1 || steps.length === 2)) {
    const byteLevel = asObject(steps.at(-1));
    const digits = steps.length === 2 ? asObject(steps[0]) : undefined;
    if (
      byteLevel.type === 'ByteLevel' &&
      byteLevel.add_prefix_space === false &&
      byteLevel.use_regex !== false &&
      (!digits || (digits.type === 'Digits' && digits.individual_digits === true))
    ) {
      return digits !== undefined;
    }
  }
  throw refuse(`has an unknown pre-tokenizer, ${JSON.stringify(value)?.slice(0, 300)}`);
}

/** Whether a post-processor leaves the tokens of a text as they are. */
function addsNothing({ type, single }: Record<string, unknown>): boolean {
  if (type === 'ByteLevel') return true;
  return type === 'TemplateProcessing' && Array.isArray(single) && single.every((part) => 'Sequence' in asObject(part));
}

/** The added tokens; those that the vocabulary does not list are put in. */
function parseAdded(
  value: unknown,
  numbers: Map<string, unknown>,
  refuse: Refuse,
): Map<number, { readonly special: boolean }> {
  const added = new Map<number, { readonly special: boolean }>();
  for (const entry of Array.isArray(value) ? value : []) {
    const { id, content, special, ...options } = asObject(entry);
    if (typeof id !== 'number' || typeof content !== 'string' || content === '' || typeof special !== 'boolean')
      throw refuse(`has a malformed added token, ${JSON.stringify(entry)}`);
    for (const key of ['single_word', 'lstrip', 'rstrip']) {
      if (options[key] === true) throw refuse(`has the added token ${JSON.stringify(content)} with ${key}`);
    }
    if ((numbers.get(content) ?? id) !== id) throw refuse(`has two numbers for ${JSON.stringify(content)}`);
    numbers.set(content, id);
    added.set(id, { special });
  }
  return added;
}

function parseObject(json: string, refuse: Refuse, name?: string): Record<string, unknown> {
  try {
    return asObject(JSON.parse(json));
  } catch {
    throw refuse(name ? `has a ${name} beside it that is not JSON` : 'is not JSON');
  }
}

function asObject(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** Whether a field says something: absent, null, false and an empty text do not. */
function isSet(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false && value !== '' && value !== 0;
}

function isPair(value: unknown): value is [string, string] {
  return Array.isArray(value) && value.length === 2 && value.every((part) => typeof part === 'string');
}
