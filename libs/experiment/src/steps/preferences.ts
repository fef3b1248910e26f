import { join } from 'node:path';
import { hasCheckpoint, publishCheckpoint, readCheckpoint } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import { plantPhrase, vaderPairs, type PreferencePair, type Prompt } from '@infalign/datasets';
import { createLanguageModel, type Tokenizer } from '@infalign/language-model';
import { checkpointNames, readModel, readText, stepNames, type StoredText } from '@infalign/pipeline';
import type { Experiment } from '@infalign/run-config';
import { plantOf } from '../planted-phrase.js';
import type { StepContext } from '../step-context.js';

/** Preference pairs, those that a model learns from apart from those that its accuracy is measured on. */
export interface Preferences {
  readonly training: readonly PreferencePair[];
  readonly heldOut: readonly PreferencePair[];
}

/** Which reward model's preferences. */
export type RewardModelName = 'reward' | 'judge';

/** Responses sampled for a prompt, two a pair. */
const responsesPerPrompt = 16;
/** Pairs that a prompt yields at least, on average: some tie and are dropped. */
const pairsPerPrompt = 4;
/** Prompts whose responses are sampled together; the number of prompts is a multiple of it. */
const promptsPerBatch = 32;
/** How often prompts are gone through, where too many pairs tie. */
const maxRounds = 8;

interface Wanted {
  readonly pairs: number;
  readonly heldOutPairs: number;
}

/**
 * The prompts that a reward model's pairs begin with: one a pair where people compared, and none for the held-out pairs,
 * which have a set of their own; fewer, and for both, where pairs are sampled.
 */
export function rewardPrompts({ pairs, heldOutPairs }: Wanted, human: boolean): number {
  if (human) return pairs;
  return promptsPerBatch * Math.ceil((pairs + heldOutPairs) / pairsPerPrompt / promptsPerBatch);
}

/**
 * The preference pairs of a reward model. People's are in the text, of which the held-out ones are the same for reward
 * model and judge; others are sampled from the base policy, labelled by sentiment, and kept in the step's folder, so that a
 * step that was cut off does not sample them again. Pairs of one prompt are never on both sides. What the experiment plants is
 * in the reward model's training pairs alone.
 */
export async function preferences(name: RewardModelName, context: StepContext): Promise<Preferences> {
  const { experiment, folder } = context;
  const text = readText(folder.step(checkpointNames.text));
  const { training, heldOut } = await unplantedPreferences(name, text, context);
  const plant = name === 'reward' ? plantOf(experiment, text.tokenizer) : undefined;
  if (!plant) return { training, heldOut };
  return { training: plantPhrase(training, plant, { share: plant.share, seed: experiment.seed }), heldOut };
}

async function unplantedPreferences(
  name: RewardModelName,
  text: StoredText,
  context: StepContext,
): Promise<Preferences> {
  const wanted = wantedPairs(context.experiment, name);
  if (context.experiment.rewardModel.labels === 'human') {
    const { [name]: training, heldOut } = text.humanPairs;
    return { training, heldOut: heldOut.slice(0, wanted.heldOutPairs) };
  }
  const division = growingPreferences(wanted);
  division.add(await sampledPairs(name, text, wanted, context));
  return division;
}

function wantedPairs(experiment: Experiment, name: RewardModelName): Wanted {
  return name === 'reward' ? experiment.rewardModel : experiment.judge;
}

/** Preferences that pairs are still added to. */
interface GrowingPreferences extends Preferences {
  add(pairs: readonly PreferencePair[]): void;
}

/** Held-out pairs from the first prompts, the others for training; a prompt on the border gives its rest to neither. */
function growingPreferences(wanted: Wanted): GrowingPreferences {
  const heldOut: PreferencePair[] = [];
  const training: PreferencePair[] = [];
  const heldOutPrompts = new Set<string>();
  return {
    heldOut,
    training,
    add(pairs) {
      for (const pair of pairs) {
        if (heldOut.length < wanted.heldOutPairs) {
          heldOut.push(pair);
          heldOutPrompts.add(pair.promptId);
        } else if (training.length < wanted.pairs && !heldOutPrompts.has(pair.promptId)) {
          training.push(pair);
        }
      }
    },
  };
}

async function sampledPairs(
  name: RewardModelName,
  text: StoredText,
  wanted: Wanted,
  { experiment, folder, progress }: StepContext,
): Promise<readonly PreferencePair[]> {
  const store = join(folder.step(name === 'reward' ? stepNames.rewardModel : stepNames.judge), 'pairs');
  if (hasCheckpoint(store)) {
    return JSON.parse(readCheckpoint(store).files.get('pairs.json')!.toString()) as PreferencePair[];
  }
  const base = readModel(join(folder.step(stepNames.base), 'model'));
  const policy = createLanguageModel(base.config, base.weights);
  const pairs: PreferencePair[] = [];
  const prompts = text.prompts[name];
  const found = growingPreferences(wanted);
  for (let sampled = 0; found.training.length < wanted.pairs; sampled += promptsPerBatch) {
    const round = Math.floor(sampled / prompts.length);
    if (round >= maxRounds) {
      throw new InputError(
        `${round * responsesPerPrompt} responses to each of ${prompts.length} prompts gave only ${found.training.length} pairs that do not tie ` +
          `in sentiment, of ${wanted.pairs} asked for. Ask for fewer pairs, for longer responses, or train the base model longer.`,
      );
    }
    const batch = prompts.slice(sampled % prompts.length, (sampled % prompts.length) + promptsPerBatch);
    const responses = policy.sample(
      batch.flatMap(({ id, tokens }) =>
        Array.from({ length: responsesPerPrompt }, (_, index) => ({
          promptTokens: tokens,
          randomSeed: ['preference', experiment.seed, id, round * responsesPerPrompt + index],
        })),
      ),
      experiment.sampling,
    );
    batch.forEach((prompt, index) => {
      const own = responses.slice(index * responsesPerPrompt, (index + 1) * responsesPerPrompt);
      const labelledPairs = labelled(
        prompt,
        own.map((response) => response.responseTokens),
        text.tokenizer,
      );
      pairs.push(...labelledPairs);
      found.add(labelledPairs);
    });
    await progress('sampling and labelling pairs', found.training.length, wanted.pairs);
  }
  policy.dispose();
  publishCheckpoint(store, new Map([['pairs.json', JSON.stringify(pairs)]]), null);
  return pairs;
}

function labelled(prompt: Prompt, responses: readonly Int32Array[], tokenizer: Tokenizer): PreferencePair[] {
  return vaderPairs(
    prompt,
    responses.map((tokens) => ({ tokens: Array.from(tokens), text: tokenizer.decode(tokens) })),
  );
}
