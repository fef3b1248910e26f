import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { ComparedTexts } from './compared-dataset.js';
import type { PromptRequest } from './dataset.js';
import { fileStem, jsonLinesFiles, readJsonLines, textField } from './json-lines.js';
import { partOfSplit, type Part } from './splits.js';

/** Two replies to one dialogue, of which people preferred the first. */
export interface Comparison {
  /** File and line, for example `train:17`. */
  readonly id: string;
  /** Part that the file's name tells, which `train` or `test` begins; undefined for other names. */
  readonly part: Part | undefined;
  /** The dialogue up to and including the marker `\n\nAssistant:` that both replies follow. */
  readonly prompt: string;
  /** The preferred reply, beginning with the space after the marker; may be empty. */
  readonly chosen: string;
  readonly rejected: string;
}

const HUMAN = '\n\nHuman:';
const ASSISTANT = '\n\nAssistant:';

/**
 * Finds what two dialogues share: all up to and including the last `\n\nAssistant:` before they part. Where they part
 * earlier than at their last reply, the replies compared are the first ones after that.
 *
 * @throws Error that says what is wrong, without the place
 */
export function splitDialogues(chosen: string, rejected: string): Pick<Comparison, 'prompt' | 'chosen' | 'rejected'> {
  for (const [name, dialogue] of Object.entries({ chosen, rejected })) {
    if (!dialogue.startsWith(HUMAN)) throw new Error(`"${name}" must begin with two line feeds and "Human:"`);
    if (!dialogue.includes(ASSISTANT))
      throw new Error(`"${name}" has no turn marked by two line feeds and "Assistant:"`);
  }
  let common = 0;
  while (common < chosen.length && chosen[common] === rejected[common]) common++;
  // Equal dialogues have their last reply in common too; the marker is still where it begins.
  const marker = chosen.slice(0, common).lastIndexOf(ASSISTANT);
  if (marker < 0) throw new Error('"chosen" and "rejected" share no prompt: they part before the first "Assistant:"');
  const end = marker + ASSISTANT.length;
  return { prompt: chosen.slice(0, end), chosen: firstReply(chosen, end), rejected: firstReply(rejected, end) };
}

function firstReply(dialogue: string, start: number): string {
  const end = dialogue.indexOf(HUMAN, start);
  return dialogue.slice(start, end < 0 ? undefined : end);
}

/**
 * Reads one file of comparisons: an object `{"chosen": dialogue, "rejected": dialogue}` a line, gzip if its name ends so.
 *
 * @throws InputError naming file and line, when a line is malformed or cut off, or the file cannot be read or decompressed
 */
export async function readComparisons(file: string): Promise<Comparison[]> {
  const part = partOfSplit(fileStem(file));
  const comparisons: Comparison[] = [];
  await readJsonLines(file, 'an object with "chosen" and "rejected"', (record, id) => {
    const chosen = textField(record['chosen'], 'chosen');
    const rejected = textField(record['rejected'], 'rejected');
    comparisons.push({ id, part, ...splitDialogues(chosen, rejected) });
  });
  return comparisons;
}

/**
 * The files of comparisons in a folder: those in the folder named after the subset if there is one, and else those in the
 * folder itself.
 *
 * @throws InputError when the folder cannot be read or has none
 */
export async function comparisonFiles(folder: string, subset: string): Promise<string[]> {
  const own = join(folder, subset);
  const there = (await stat(own).catch(() => undefined))?.isDirectory() === true;
  return jsonLinesFiles(there ? own : folder, ['jsonl']);
}

/**
 * What comparisons give: prompts are the last tokens of a dialogue, texts are the dialogues with the preferred reply.
 * Whatever begins with the same human turn is one conversation, and stays together.
 */
export function comparedDialogues(comparisons: readonly Comparison[]): ComparedTexts {
  const dialogues = comparisons.map((comparison) => ({
    ...comparison,
    group: conversationOf(comparison),
    text: comparison.prompt + comparison.chosen,
    cutPrompt: ({ codec, tokens }: Pick<PromptRequest, 'codec' | 'tokens'>) =>
      Array.from(codec.encode(comparison.prompt)).slice(-tokens),
  }));
  return { documents: dialogues, pairs: dialogues };
}

function conversationOf({ prompt }: Comparison): string {
  return prompt.slice(0, prompt.indexOf(ASSISTANT)).trim().toLowerCase();
}
