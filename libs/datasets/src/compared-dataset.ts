import { InputError } from '@infalign/core';
import type { Dataset, Prompt, PromptRequest } from './dataset.js';
import { divide, divideAsPublished, drawPromptSets, type Division, type Part, type PromptSource } from './splits.js';

/** What a prompt can be cut from. */
export interface Excerpt {
  /** Tells where in the dataset it comes from; unique among documents, and among pairs. */
  readonly id: string;
  /** Those of one group are never divided into training and held-out part. */
  readonly group: string;
  /** The part in which the dataset is published; undefined where its files do not tell. */
  readonly part: Part | undefined;
  /** The tokens of its prompt, of which there are at most as many as asked for; undefined if it has none of such a length. */
  cutPrompt(request: Pick<PromptRequest, 'codec' | 'tokens'>): readonly number[] | undefined;
}

/** What a language model learns from. */
export interface TextDocument extends Excerpt {
  readonly text: string;
}

/** Two replies to a prompt, of which people preferred the first. */
export interface ReplyPair extends Excerpt {
  /** The preferred reply, as it follows the prompt: beginning with the space between; may be empty. */
  readonly chosen: string;
  readonly rejected: string;
}

/** What is in the files of a dataset that people have compared replies for. */
export interface ComparedTexts {
  readonly documents: readonly TextDocument[];
  readonly pairs: readonly ReplyPair[];
}

/**
 * Documents, and pairs that people have compared, as a dataset. What its files say is for validation or test is held out;
 * where they do not tell training from that, a share of the groups is.
 *
 * @param options seed, and share (0 to 1) of the groups
 * @throws InputError where two pairs or documents have the same id, or nothing is there to train on or to hold out
 */
export function comparedDataset(
  { documents, pairs }: ComparedTexts,
  options: { readonly seed: number; readonly heldOutShare: number },
): Dataset {
  const pairById = byId(pairs);
  byId(documents);
  const all: readonly Excerpt[] = [...documents, ...pairs];
  const groupOf = ({ group }: Excerpt) => group;
  const division = divideAsPublished(all, groupOf, ({ part }) => part) ?? divide(all, groupOf, options);
  const members = { training: new Set(division.training), heldOut: new Set(division.heldOut) };
  const divided = <Item extends Excerpt>(items: readonly Item[]): Division<Item> => ({
    training: items.filter((item) => members.training.has(item)),
    heldOut: items.filter((item) => members.heldOut.has(item)),
  });
  const dividedDocuments = divided(documents);
  const dividedPairs = divided(pairs);

  return {
    trainingTexts: distinctTexts(dividedDocuments.training),
    heldOutTexts: distinctTexts(dividedDocuments.heldOut),
    drawPrompts(request) {
      const prompts = { candidates: dividedDocuments, cut: (document: TextDocument) => promptsOf([document], request) };
      const { comparedWithin } = request;
      if (comparedWithin === undefined) return drawPromptSets(prompts, request);
      if (pairs.length === 0)
        throw new InputError('the dataset has no comparisons by people; labels: human needs some');
      return drawPromptSets(prompts, request, differingPairs(dividedPairs, request, comparedWithin));
    },
    humanPairs(prompts, { codec, maxResponseTokens, endOfText }) {
      return prompts.map(({ id, tokens }) => {
        const pair = pairById.get(id);
        if (pair === undefined) throw new Error(`prompt ${id} does not begin a pair of this dataset`);
        return {
          promptId: id,
          promptTokens: tokens,
          chosen: reply(codec.encode(pair.chosen), maxResponseTokens, endOfText),
          rejected: reply(codec.encode(pair.rejected), maxResponseTokens, endOfText),
        };
      });
    },
  };
}

function byId<Item extends Excerpt>(items: readonly Item[]): ReadonlyMap<string, Item> {
  const found = new Map<string, Item>();
  for (const item of items) {
    if (found.has(item.id)) {
      throw new InputError(`the dataset has ${item.id} twice: of files with one name, plain and compressed, keep one`);
    }
    found.set(item.id, item);
  }
  return found;
}

function distinctTexts(documents: readonly TextDocument[]): string[] {
  return [...new Set(documents.map(({ text }) => text))];
}

function promptsOf(excerpts: readonly Excerpt[], request: PromptRequest): Prompt[] {
  return excerpts.flatMap((excerpt) => {
    const tokens = excerpt.cutPrompt(request);
    return tokens === undefined ? [] : [{ id: excerpt.id, tokens, text: request.codec.decode(tokens) }];
  });
}

/** The pairs whose replies differ within so many tokens, group by group: what a set has begun is of little use to another. */
function differingPairs(
  { training, heldOut }: Division<ReplyPair>,
  request: PromptRequest,
  comparedWithin: number,
): PromptSource<readonly ReplyPair[]> {
  const start = (text: string) => reply(request.codec.encode(text), comparedWithin).join();
  const differs = ({ chosen, rejected }: ReplyPair) => start(chosen) !== start(rejected);
  return {
    candidates: { training: grouped(training), heldOut: grouped(heldOut) },
    cut: (pairs) => promptsOf(pairs.filter(differs), request),
  };
}

function grouped<Item extends Excerpt>(items: readonly Item[]): (readonly Item[])[] {
  const groups = new Map<string, Item[]>();
  for (const item of items) {
    const group = groups.get(item.group);
    if (group === undefined) groups.set(item.group, [item]);
    else group.push(item);
  }
  return [...groups.values()];
}

/** The first `maxTokens` tokens of a reply; a shorter one ends with `endOfText`, if that is given. */
function reply(tokens: ArrayLike<number>, maxTokens: number, endOfText?: number): number[] {
  const whole = Array.from(tokens);
  if (endOfText !== undefined) whole.push(endOfText);
  return whole.slice(0, maxTokens);
}
