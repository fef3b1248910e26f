import { join } from 'node:path';
import { publishCheckpoint, readCheckpoint, type Checkpoint } from '@infalign/checkpoint';
import type { PreferencePair, Prompt, PromptSetName } from '@infalign/datasets';
import { parseTokenizer, type Tokenizer } from '@infalign/language-model';

/** The text of an experiment, as tokens: what all later steps read in place of the dataset. */
export interface StoredText {
  readonly tokenizer: Tokenizer;
  /** The text of a pretrained tokenizer's tokenizer_config.json; a tokenizer trained here has none. */
  readonly tokenizerConfigJson?: string;
  /** Documents one after another, each ended by end-of-text. */
  readonly training: Uint16Array;
  readonly heldOut: Uint16Array;
  readonly prompts: Readonly<Record<PromptSetName, readonly Prompt[]>>;
  /** People's preferences for the `reward`, `judge` and `accuracy` prompts; empty where labels are made from samples. */
  readonly humanPairs: Readonly<Record<'reward' | 'judge' | 'heldOut', readonly PreferencePair[]>>;
}

/** Stores the text of an experiment in a folder, as a checkpoint. */
export function storeText(folder: string, text: StoredText): void {
  publishCheckpoint(
    folder,
    new Map<string, string | Uint8Array>([
      ['tokenizer.json', text.tokenizer.toJson()],
      ...(text.tokenizerConfigJson === undefined ? [] : [['tokenizer_config.json', text.tokenizerConfigJson] as const]),
      ['training.uint16', asBytes(text.training)],
      ['held-out.uint16', asBytes(text.heldOut)],
      ['prompts.json', JSON.stringify(text.prompts)],
      ['human-pairs.json', JSON.stringify(text.humanPairs)],
    ]),
    null,
  );
}

/** Reads what `storeText` stored in a folder, verified. */
export function readText(folder: string): StoredText {
  return textOf(readCheckpoint(folder), folder);
}

/**
 * The text that a checkpoint holds.
 *
 * @param place where it was read, for messages
 */
export function textOf({ files }: Checkpoint, place: string): StoredText {
  const json = (name: string): unknown => JSON.parse(files.get(name)!.toString());
  const tokenizerConfigJson = files.get('tokenizer_config.json')?.toString();
  return {
    tokenizer: parseTokenizer(
      files.get('tokenizer.json')!.toString(),
      join(place, 'tokenizer.json'),
      tokenizerConfigJson,
    ),
    ...(tokenizerConfigJson === undefined ? {} : { tokenizerConfigJson }),
    training: asTokens(files.get('training.uint16')!),
    heldOut: asTokens(files.get('held-out.uint16')!),
    prompts: json('prompts.json') as StoredText['prompts'],
    humanPairs: json('human-pairs.json') as StoredText['humanPairs'],
  };
}

function asBytes(tokens: Uint16Array): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}

function asTokens(bytes: Buffer): Uint16Array {
  return new Uint16Array(Uint8Array.from(bytes).buffer);
}
