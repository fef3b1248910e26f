import { InputError, seededRandom, shuffled } from '@infalign/core';
import { promptSetNames, type Prompt, type PromptRequest, type PromptSetName, type PromptSets } from './dataset.js';

/** Which part of a dataset's text each of its documents is in. */
export interface Division<Item> {
  readonly training: readonly Item[];
  readonly heldOut: readonly Item[];
}

/** A part of a dataset. */
export type Part = keyof Division<unknown>;

/**
 * The part that a split of a published dataset belongs to, by its name, which `train`, `valid` or `test` begins (also
 * with more behind it: `valid2`, `test-00000`).
 */
export function partOfSplit(name: string): Part | undefined {
  if (/^train/i.test(name)) return 'training';
  return /^(valid|test)/i.test(name) ? 'heldOut' : undefined;
}

/**
 * Divides items as their dataset is published: what is of its validation and test splits is held out, and all else is for
 * training, but for what is of one group with something held out, which is in neither part.
 *
 * @returns undefined where the items are not of both parts
 * @throws InputError when nothing is left for training
 */
export function divideAsPublished<Item>(
  items: readonly Item[],
  groupOf: (item: Item) => string,
  partOf: (item: Item) => Part | undefined,
): Division<Item> | undefined {
  const heldOut = items.filter((item) => partOf(item) === 'heldOut');
  if (heldOut.length === 0 || heldOut.length === items.length) return undefined;
  const heldOutGroups = new Set(heldOut.map(groupOf));
  const training = items.filter((item) => !heldOutGroups.has(groupOf(item)));
  if (training.length === 0) {
    throw new InputError("all of the dataset's training split is in its validation or test split too; check its files");
  }
  return { training, heldOut };
}

/**
 * Divides items into a training part and a held-out part at random, group by group: no group is in both. The order of the items is
 * kept.
 *
 * @param groupOf what an item must not be separated from
 * @param heldOutShare share of the *groups* that is held out, in (0, 1); at least one group, and never all
 * @throws InputError with fewer than two groups
 */
export function divide<Item>(
  items: readonly Item[],
  groupOf: (item: Item) => string,
  { seed, heldOutShare }: { readonly seed: number; readonly heldOutShare: number },
): Division<Item> {
  const groups = [...new Set(items.map(groupOf))];
  if (groups.length < 2) {
    throw new InputError(
      `the dataset has ${groups.length} separate document(s); two or more are needed to hold some out`,
    );
  }
  const count = Math.min(groups.length - 1, Math.max(1, Math.round(groups.length * heldOutShare)));
  const heldOut = new Set(shuffled(groups, seededRandom('divide', seed)).slice(0, count));
  return {
    training: items.filter((item) => !heldOut.has(groupOf(item))),
    heldOut: items.filter((item) => heldOut.has(groupOf(item))),
  };
}

/** The sets whose prompts come from the held-out part. */
const heldOutSets: ReadonlySet<PromptSetName> = new Set(['calibration', 'evaluation', 'accuracy']);

/** The sets whose prompts begin people's pairs, where these are wanted. */
const pairSets: ReadonlySet<PromptSetName> = new Set(['reward', 'judge', 'accuracy']);

/** Those of them in which all pairs of a prompt are. Accuracy has an interval, for which pairs must be independent. */
const learningSets: ReadonlySet<PromptSetName> = new Set(['reward', 'judge']);

/** Where prompts are cut. */
export interface PromptSource<Candidate> {
  readonly candidates: Division<Candidate>;
  /** The prompts of a candidate, drawn one after another; none if it has none that will do. */
  cut(candidate: Candidate, part: Part): readonly Prompt[];
}

/**
 * Fills the sets of prompts from candidates in random order; a prompt whose tokens are already taken is passed over.
 *
 * @param pairs of people, if these are wanted: the source for `reward`, `judge` and `accuracy`; a prompt may come again in
 *   either of the first two
 * @throws InputError naming the set that cannot be filled and what there is
 */
export function drawPromptSets<Candidate, Pair>(
  prompts: PromptSource<Candidate>,
  { counts, seed, tokens }: Pick<PromptRequest, 'counts' | 'seed' | 'tokens'>,
  pairs?: PromptSource<Pair>,
): PromptSets {
  const takenBy = new Map<string, PromptSetName>();
  const ofPrompts = supply(prompts, seed, 'prompts');
  const ofPairs = pairs && supply(pairs, seed, 'pairs');
  const fill = (set: PromptSetName): Prompt[] => {
    const part: Part = heldOutSets.has(set) ? 'heldOut' : 'training';
    const paired = ofPairs !== undefined && pairSets.has(set);
    const source = (paired ? ofPairs : ofPrompts)[part];
    const filled: Prompt[] = [];
    while (filled.length < counts[set]) {
      const prompt = source.next();
      if (prompt === undefined) {
        const held = part === 'heldOut';
        const unfit = source.unfit() === 0 ? '' : ` (${source.unfit()} others do not ${paired ? 'give a pair' : 'do'})`;
        throw new InputError(
          `${counts[set]} ${set} prompts of ${tokens} tokens are asked for, but after those already drawn the ` +
            `${held ? 'held-out' : 'training'} documents have only ${filled.length} more that differ${unfit}: ` +
            `ask for fewer prompts or pairs, ${held ? 'hold out more, ' : ''}or give more data`,
        );
      }
      const key = prompt.tokens.join();
      const taken = takenBy.get(key);
      if (taken !== undefined && !(paired && taken === set && learningSets.has(set))) continue;
      takenBy.set(key, set);
      filled.push(prompt);
    }
    return filled;
  };
  return Object.fromEntries(promptSetNames.map((set) => [set, fill(set)])) as Record<PromptSetName, Prompt[]>;
}

/** What a source still has, in random order. */
interface Supply {
  /** The next prompt; undefined when there is none left. */
  next(): Prompt | undefined;
  /** How many candidates have been found to have no prompt that will do. */
  unfit(): number;
}

function supply<Candidate>(
  source: PromptSource<Candidate>,
  seed: number,
  name: string,
): Readonly<Record<Part, Supply>> {
  const ofPart = (part: Part): Supply => {
    const left = shuffled(source.candidates[part], seededRandom(name, seed, part === 'heldOut' ? 'held-out' : part));
    const cut: Prompt[] = [];
    let unfit = 0;
    return {
      next() {
        while (cut.length === 0) {
          const candidate = left.pop();
          if (candidate === undefined) return undefined;
          cut.push(...source.cut(candidate, part));
          if (cut.length === 0) unfit++;
        }
        return cut.shift();
      },
      unfit: () => unfit,
    };
  };
  return { training: ofPart('training'), heldOut: ofPart('heldOut') };
}
