import { InputError } from '@infalign/core';
import { describedTokenizer, type Refuse } from '../tokenizer-json.js';
import type { GgufFile, GgufValue } from './gguf-file.js';

/** Whether digits are words of their own, by the pre-tokenizers that are known. */
const preTokenizers: ReadonlyMap<GgufValue | undefined, boolean> = new Map([
  ['gpt-2', false],
  ['smollm', true],
]);

/** Kinds of tokens by their numbers: of text; special; a special one that nothing uses; with a text of its own. */
const kinds = { normal: 1, control: 3, userDefined: 4, unused: 5 } as const;

/** A tokenizer as Hugging Face's files hold it. */
export interface TokenizerFiles {
  readonly tokenizerJson: string;
  readonly tokenizerConfigJson: string;
  /** The token that ends a text. */
  readonly endOfText: number;
  readonly vocabSize: number;
}

/**
 * The tokenizer that a GGUF file's metadata describes: byte-level BPE that cuts words as GPT-2 or SmolLM.
 *
 * @throws InputError naming the file and the metadata that says otherwise
 */
export function ggufTokenizer({ metadata }: GgufFile, maxPositions: number, fileName: string): TokenizerFiles {
  const refuse: Refuse = (problem) =>
    new InputError(
      `${fileName}: ${problem}. Only byte-level BPE tokenizers are read, of the kind that GPT-2 and SmolLM2 have.`,
    );
  const field = (key: string): GgufValue | undefined => metadata.get(`tokenizer.ggml.${key}`);
  const list = <Item>(key: string, isItem: (item: unknown) => item is Item): Item[] => {
    const value = field(key);
    if (!Array.isArray(value) || !value.every(isItem)) throw refuse(`has no usable tokenizer.ggml.${key}`);
    return value;
  };
  const demand = (key: string, isAllowed: boolean): void => {
    if (!isAllowed) throw refuse(`has ${JSON.stringify(field(key))} as tokenizer.ggml.${key}`);
  };

  demand('model', field('model') === 'gpt2');
  const splitsDigits = preTokenizers.get(field('pre'));
  if (splitsDigits === undefined) throw refuse(`has the unknown pre-tokenizer ${JSON.stringify(field('pre'))}`);
  demand('add_bos_token', field('add_bos_token') !== true);
  demand('add_space_prefix', field('add_space_prefix') !== true);
  const tokens = list('tokens', (item) => typeof item === 'string');
  const types = list('token_type', (item) => typeof item === 'number');
  if (types.length !== tokens.length) throw refuse(`has ${tokens.length} tokens, but ${types.length} token types`);
  const added = new Map<number, { readonly special: boolean }>();
  types.forEach((type, token) => {
    if (type === kinds.control || type === kinds.unused) added.set(token, { special: true });
    else if (type === kinds.userDefined) added.set(token, { special: false });
    else if (type !== kinds.normal) throw refuse(`has the token ${JSON.stringify(tokens[token])} of type ${type}`);
  });
  const role = (name: string): string | undefined => {
    const token = field(`${name}_token_id`);
    return typeof token === 'number' ? tokens[token] : undefined;
  };
  const endOfText = role('eos');
  if (endOfText === undefined) throw refuse('has no token that ends a text, tokenizer.ggml.eos_token_id');
  const padding = role('padding') ?? endOfText;
  const merges = list('merges', (item) => typeof item === 'string').map((merge, rank): [string, string] => {
    const [left, right, ...others] = merge.split(' ');
    if (!left || !right || others.length > 0) throw refuse(`has a malformed merge (number ${rank})`);
    return [left, right];
  });
  const tokenizer = describedTokenizer({ tokens, merges, added, splitsDigits, endOfText, padding }, refuse);
  const template = metadata.get('tokenizer.chat_template');
  return {
    tokenizerJson: tokenizer.toJson(),
    tokenizerConfigJson: `${JSON.stringify(
      {
        tokenizer_class: 'PreTrainedTokenizerFast',
        bos_token: role('bos'),
        eos_token: endOfText,
        pad_token: padding,
        unk_token: role('unknown'),
        clean_up_tokenization_spaces: false,
        model_max_length: maxPositions,
        chat_template: typeof template === 'string' ? template : undefined,
      },
      null,
      2,
    )}\n`,
    endOfText: tokenizer.endOfText,
    vocabSize: tokenizer.vocabSize,
  };
}
