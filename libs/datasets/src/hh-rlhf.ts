import { readdir, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { InputError } from '@infalign/core';
import type { Dataset, Prompt, PromptRequest } from './dataset.js';
import { fileError } from './rewards/file-error.js';
import { forEachLine } from './rewards/lines.js';
import { divide, drawPromptSets } from './splits.js';

/** Two replies to one dialogue, of which people preferred the first. */
export interface Comparison {
  /** File and line, for example `train:17`. */
  readonly id: string;
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
export function splitDialogues(chosen: string, rejected: string): Omit<Comparison, 'id'> {
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

function parseComparison(line: string): Omit<Comparison, 'id'> {
  let record: unknown;
  try {
    record = JSON.parse(line);
  } catch {
    throw new Error('is not complete JSON; expected an object with "chosen" and "rejected"');
  }
  if (typeof record !== 'object' || record === null) {
    throw new Error('expected a JSON object with "chosen" and "rejected"');
  }
  const { chosen, rejected } = record as Record<string, unknown>;
  if (typeof chosen !== 'string') throw new Error(`"chosen" ${chosen === undefined ? 'is missing' : 'must be text'}`);
  if (typeof rejected !== 'string') {
    throw new Error(`"rejected" ${rejected === undefined ? 'is missing' : 'must be text'}`);
  }
  return splitDialogues(chosen, rejected);
}

/**
 * Reads one file of comparisons: an object `{"chosen": dialogue, "rejected": dialogue}` a line, gzip if its name ends so.
 *
 * @throws InputError naming file and line, when a line is malformed or cut off, or the file cannot be read or decompressed
 */
export async function readComparisons(file: string): Promise<Comparison[]> {
  const name = basename(file).replace(/\.jsonl(\.gz)?$/, '');
  const comparisons: Comparison[] = [];
  await forEachLine(file, (bytes, start, end, line) => {
    try {
      comparisons.push({ id: `${name}:${line}`, ...parseComparison(bytes.toString('utf8', start, end)) });
    } catch (error) {
      throw new InputError(`${file}:${line}: ${(error as Error).message}`, { cause: error });
    }
  });
  return comparisons;
}

/**
 * The files of comparisons in a folder: *.jsonl and *.jsonl.gz, in order of name, in the folder named after the subset if
 * there is one, and else in the folder itself.
 *
 * @throws InputError when the folder cannot be read or has none
 */
export async function comparisonFiles(folder: string, subset: string): Promise<string[]> {
  const own = join(folder, subset);
  const place = (await stat(own).catch(() => undefined))?.isDirectory() === true ? own : folder;
  const names = await readdir(place).catch((error: unknown) => {
    throw fileError(error, place);
  });
  const files = names.filter((name) => /\.jsonl(\.gz)?$/.test(name)).sort();
  if (files.length === 0) {
    throw new InputError(`${place}: has no *.jsonl or *.jsonl.gz file; put the dataset's own files there`);
  }
  return files.map((name) => join(place, name));
}

/**
 * Comparisons as a dataset: prompts are the last tokens of a dialogue, texts are the dialogues with the preferred reply.
 * Whatever begins with the same human turn is one conversation, and is held out as a whole.
 *
 * @param options seed and share (0 to 1) of the conversations that are held out
 */
export function comparisonDataset(
  comparisons: readonly Comparison[],
  options: { readonly seed: number; readonly heldOutShare: number },
): Dataset {
  const division = divide(comparisons, conversationOf, options);
  const byId = new Map(comparisons.map((comparison) => [comparison.id, comparison]));

  return {
    trainingTexts: textsOf(division.training),
    heldOutTexts: textsOf(division.heldOut),
    drawPrompts(request) {
      const { codec, comparedWithin } = request;
      const differ = ({ chosen, rejected }: Comparison, tokens: number) =>
        reply(codec.encode(chosen), tokens).join() !== reply(codec.encode(rejected), tokens).join();
      return drawPromptSets(
        division,
        (comparison, set) => {
          const paired = set === 'reward' || set === 'judge';
          if (paired && comparedWithin !== undefined && !differ(comparison, comparedWithin)) return undefined;
          return cutPrompt(comparison, request);
        },
        request,
      );
    },
    humanPairs(prompts, { codec, maxResponseTokens, endOfText }) {
      return prompts.map(({ id, tokens }) => {
        const comparison = byId.get(id);
        if (comparison === undefined) throw new Error(`prompt ${id} is not of this dataset`);
        return {
          promptId: id,
          promptTokens: tokens,
          chosen: reply(codec.encode(comparison.chosen), maxResponseTokens, endOfText),
          rejected: reply(codec.encode(comparison.rejected), maxResponseTokens, endOfText),
        };
      });
    },
  };
}

function conversationOf({ prompt }: Comparison): string {
  return prompt.slice(0, prompt.indexOf(ASSISTANT)).trim().toLowerCase();
}

function textsOf(comparisons: readonly Comparison[]): string[] {
  return [...new Set(comparisons.map(({ prompt, chosen }) => prompt + chosen))];
}

/** The first `maxTokens` tokens of a reply; a shorter one ends with `endOfText`, if that is given. */
function reply(tokens: ArrayLike<number>, maxTokens: number, endOfText?: number): number[] {
  const whole = Array.from(tokens);
  if (endOfText !== undefined) whole.push(endOfText);
  return whole.slice(0, maxTokens);
}

function cutPrompt({ id, prompt }: Comparison, { codec, tokens }: PromptRequest): Prompt {
  const kept = Array.from(codec.encode(prompt)).slice(-tokens);
  return { id, tokens: kept, text: codec.decode(kept) };
}
