import { join } from 'node:path';
import { publishCheckpoint, readCheckpoint } from '@infalign/checkpoint';
import type { PreferencePair, Prompt, PromptSetName } from '@infalign/datasets';
import { parseTokenizer, type Tokenizer } from '@infalign/language-model';
import type { ExperimentFolder } from './experiment-folder.js';
import { stepNames } from './plan.js';

/** The text of an experiment, as tokens: what all later steps read in place of the dataset. */
export interface StoredText {
  readonly tokenizer: Tokenizer;
  /** Documents one after another, each ended by end-of-text. */
  readonly training: Uint16Array;
  readonly heldOut: Uint16Array;
  readonly prompts: Readonly<Record<PromptSetName, readonly Prompt[]>>;
  /** People's preferences for the `reward` and `judge` prompts; empty where labels are made from samples. */
  readonly humanPairs: Readonly<Record<'reward' | 'judge', readonly PreferencePair[]>>;
}

/** Stores the text of an experiment. */
export function storeText(folder: ExperimentFolder, text: StoredText): void {
  publishCheckpoint(
    textFolder(folder),
    new Map<string, string | Uint8Array>([
      ['tokenizer.json', text.tokenizer.toJson()],
      ['training.uint16', asBytes(text.training)],
      ['held-out.uint16', asBytes(text.heldOut)],
      ['prompts.json', JSON.stringify(text.prompts)],
      ['human-pairs.json', JSON.stringify(text.humanPairs)],
    ]),
    null,
  );
}

/** Reads what `storeText` stored, verified. */
export function readText(folder: ExperimentFolder): StoredText {
  const place = textFolder(folder);
  const { files } = readCheckpoint(place);
  const json = (name: string): unknown => JSON.parse(files.get(name)!.toString());
  return {
    tokenizer: parseTokenizer(files.get('tokenizer.json')!.toString(), join(place, 'tokenizer.json')),
    training: asTokens(files.get('training.uint16')!),
    heldOut: asTokens(files.get('held-out.uint16')!),
    prompts: json('prompts.json') as StoredText['prompts'],
    humanPairs: json('human-pairs.json') as StoredText['humanPairs'],
  };
}

function textFolder(folder: ExperimentFolder): string {
  return join(folder.step(stepNames.text), 'text');
}

function asBytes(tokens: Uint16Array): Uint8Array {
  return new Uint8Array(tokens.buffer, tokens.byteOffset, tokens.byteLength);
}

function asTokens(bytes: Buffer): Uint16Array {
  return new Uint16Array(Uint8Array.from(bytes).buffer);
}
