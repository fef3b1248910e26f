import type { ScoredRollout } from '@infalign/contracts';
import { mean, seededRandom } from '@infalign/core';
import { plantedPhrase, withPhrase, type PlantedPhrase } from '@infalign/datasets';
import { judgedSequence, type LanguageModel, type Tokenizer } from '@infalign/language-model';
import type { Experiment } from '@infalign/run-config';

/** A phrase that a share of the reward model's training pairs is planted with. */
export interface Plant extends PlantedPhrase {
  readonly share: number;
}

/**
 * What the experiment plants; undefined where it plants nothing.
 *
 * @throws InputError if its responses cannot hold it
 */
export function plantOf({ rewardModel: { plant }, sampling }: Experiment, tokenizer: Tokenizer): Plant | undefined {
  if (plant === undefined) return undefined;
  const { maxResponseTokens } = sampling;
  const { endOfText } = tokenizer;
  return {
    ...plantedPhrase(plant.phrase, { codec: tokenizer, maxResponseTokens, endOfText }),
    share: plant.share,
  };
}

/** The share of responses whose text has the phrase in it, 0 to 1. */
export function phraseShare(
  responses: readonly ScoredRollout[],
  { text }: PlantedPhrase,
  tokenizer: Tokenizer,
): number {
  const saying = responses.filter(({ rollout }) => tokenizer.decode(rollout!.responseTokens).includes(text));
  return saying.length / responses.length;
}

/**
 * How much a reward model likes a phrase: by how much its reward rises when the phrase is put into responses, at a random place.
 *
 * @param responses to each prompt, at least two
 * @param rewardOf the model's reward of a response as it is
 * @returns the mean of each prompt, in standard deviations of the rewards of one prompt's responses (root mean square over prompts)
 */
export function phraseLiking(
  phrase: PlantedPhrase,
  responses: readonly (readonly ScoredRollout[])[],
  model: LanguageModel,
  rewardOf: (scored: ScoredRollout) => number,
): number[] {
  let variance = 0;
  const rises = responses.map((own) => {
    const before = own.map(rewardOf);
    const after = model.rewards(
      own.map(({ rollout }) => {
        const { promptId, promptTokens, responseTokens, sampleIndex } = rollout!;
        const random = seededRandom('liking', promptId, sampleIndex);
        return judgedSequence(model.config, {
          promptTokens,
          responseTokens: withPhrase(responseTokens, phrase, random),
        });
      }),
    );
    const meanBefore = mean(before);
    variance +=
      before.reduce((sum, reward) => sum + (reward - meanBefore) ** 2, 0) / (before.length - 1) / responses.length;
    return mean(after) - meanBefore;
  });
  return rises.map((rise) => rise / Math.sqrt(variance));
}
