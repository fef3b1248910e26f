import { checkpointNames } from '@infalign/pipeline';
import { sampleResponses, scoreResponses } from './rollouts.mjs';

/**
 * Fresh rollouts of a policy on held-out prompts: references, many others that true calibrated rewards are taken from, and
 * rollouts to be calibrated. No two of them share a random number.
 *
 * @param {ReturnType<import('./finished-experiment.mjs').openFinishedExperiment>} finished
 * @param {{ policy?: string, prompts: number, references: number, manyRollouts: number, calibratedRollouts: number,
 *   temperature?: number }} wanted policy: its name; else the base policy
 */
export function heldOutRollouts(finished, wanted) {
  const { experiment, prompts } = finished;
  const { policy = checkpointNames.basePolicy, temperature = experiment.sampling.temperature } = wanted;
  const model = finished.model(policy);
  const sampling = { ...experiment.sampling, temperature };
  return prompts.calibration.slice(0, wanted.prompts).map((prompt) => {
    const scored = (what, count) => {
      const seed = [experiment.seed, policy, temperature, what];
      const responses = sampleResponses(model, prompt, count, { seed, sampling });
      return { responses, rewards: rewardsOf(finished, checkpointNames.rewardModel, prompt, responses) };
    };
    return {
      prompt,
      references: scored('references', wanted.references),
      many: scored('many', wanted.manyRollouts),
      calibrated: scored('calibrated', wanted.calibratedRollouts),
    };
  });
}

/** What a reward model, by its name, makes of responses. */
export function rewardsOf(finished, scorer, prompt, responses) {
  return scoreResponses(finished.model(scorer), prompt.tokens, responses);
}
