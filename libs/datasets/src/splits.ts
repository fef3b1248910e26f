import { InputError, seededRandom, shuffled } from '@infalign/core';
import { promptSetNames, type Prompt, type PromptRequest, type PromptSetName, type PromptSets } from './dataset.js';

/** Which part of a dataset's text each of its documents is in. */
export interface Division<Item> {
  readonly training: readonly Item[];
  readonly heldOut: readonly Item[];
}

/**
 * Divides items into a training part and a held-out part, group by group: no group is in both. The order of the items is
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
export const heldOutSets: ReadonlySet<PromptSetName> = new Set(['calibration', 'evaluation']);

/**
 * Fills the sets of prompts from candidates in random order; a prompt whose tokens are already taken is passed over.
 *
 * @param candidates where prompts may be cut, for the training part and for the held-out part
 * @param cut makes the prompt of a candidate; undefined if it does not do for the set
 * @throws InputError naming the set that cannot be filled and what there is
 */
export function drawPromptSets<Candidate>(
  candidates: Division<Candidate>,
  cut: (candidate: Candidate, set: PromptSetName) => Prompt | undefined,
  { counts, seed, tokens }: Pick<PromptRequest, 'counts' | 'seed' | 'tokens'>,
): PromptSets {
  const taken = new Set<string>();
  const sources = {
    training: shuffled(candidates.training, seededRandom('prompts', seed, 'training')),
    heldOut: shuffled(candidates.heldOut, seededRandom('prompts', seed, 'held-out')),
  };
  const fill = (set: PromptSetName): Prompt[] => {
    const part = heldOutSets.has(set) ? 'heldOut' : 'training';
    const source = sources[part];
    const prompts: Prompt[] = [];
    const passedOver: Candidate[] = [];
    while (prompts.length < counts[set]) {
      const candidate = source.pop();
      if (candidate === undefined) {
        const places = part === 'heldOut' ? 'the held-out documents' : 'the training documents';
        throw new InputError(
          `${counts[set]} ${set} prompts of ${tokens} tokens are asked for, but after those already drawn ${places} have only ` +
            `${prompts.length} more that differ: ask for fewer prompts or pairs, or give more data`,
        );
      }
      const prompt = cut(candidate, set);
      if (prompt === undefined) {
        passedOver.push(candidate); // it may do for another set
        continue;
      }
      const key = prompt.tokens.join();
      if (taken.has(key)) continue;
      taken.add(key);
      prompts.push(prompt);
    }
    source.push(...passedOver.reverse());
    return prompts;
  };
  return Object.fromEntries(promptSetNames.map((set) => [set, fill(set)])) as Record<PromptSetName, Prompt[]>;
}
