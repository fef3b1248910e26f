import { calibrateReward, calibrationQuality, sortedReferences } from '@infalign/core';
import { checkpointNames } from '@infalign/pipeline';
import { exactCalibrationError } from './exact-values.mjs';
import { meanOf, rootMeanSquare } from './interval.mjs';
import { sampleResponses, scoreResponses, timed } from './rollouts.mjs';
import { meanSquaredError, trueCalibration } from './true-calibration.mjs';

/**
 * How far calibration by K references is from the truth, and what K references cost.
 *
 * @param {import('./measure.mjs').Ablation} ablation
 */
export function measureCalibrationError({ finished, settings, heldOut }) {
  const truths = heldOut.map(({ calibrated, many }) => trueCalibration(calibrated.rewards, many.rewards));
  const seed = `${finished.experiment.seed}/calibration-error`;
  return {
    prompts: heldOut.length,
    calibrated_rollouts_per_prompt: settings.calibratedRollouts,
    many_rollouts_per_prompt: settings.manyRollouts,
    tied_pairs: meanOf(heldOut.map(({ many }) => tiedPairs(many.rewards))),
    kolmogorov_smirnov_of_many: distanceFromUniform(truths.map((truth) => truth.map(({ value }) => value))),
    rows: settings.references.map((references) => {
      const calibrated = heldOut.map((rollouts) => calibratedBy(rollouts, references));
      const squares = calibrated.map((groups, index) =>
        meanOf(groups.map((values) => meanSquaredError(values, truths[index]))),
      );
      return {
        references,
        error: rootMeanSquare(squares, `${seed}/${references}`),
        exact_error: exactCalibrationError(references),
        kolmogorov_smirnov: distanceFromUniform(calibrated.flat()),
        ...cost(finished, settings, references),
      };
    }),
  };
}

/**
 * Rollouts of one prompt, calibrated by K of its references: once for each group of K that there is, none of which share any.
 *
 * @returns {number[][]} in each group, in the order of the rollouts
 */
export function calibratedBy({ references, calibrated }, count) {
  const groups = Math.floor(references.rewards.length / count);
  return Array.from({ length: groups }, (_, group) => {
    const sorted = sortedReferences(references.rewards.slice(group * count, (group + 1) * count));
    return calibrated.rewards.map((reward) => calibrateReward(reward, sorted));
  });
}

/** The Kolmogorov–Smirnov distance from uniform of calibrated rewards, those of all prompts together. */
export function distanceFromUniform(lists) {
  return calibrationQuality(lists.flat()).kolmogorovSmirnov;
}

/** Processor seconds a prompt that its references take. */
function cost(finished, { timedPrompts }, references) {
  const { experiment, prompts } = finished;
  const policy = finished.model(checkpointNames.basePolicy);
  const scorer = finished.model(checkpointNames.rewardModel);
  const options = { seed: [experiment.seed, 'timed'], sampling: experiment.sampling };
  const times = prompts.calibration.slice(0, timedPrompts).map((prompt) => {
    const sampled = timed(() => sampleResponses(policy, prompt, references, options));
    const scored = timed(() => scoreResponses(scorer, prompt.tokens, sampled.result));
    return { sampling: sampled.seconds, scoring: scored.seconds };
  });
  return {
    sampling_seconds: meanOf(times.map(({ sampling }) => sampling)),
    scoring_seconds: meanOf(times.map(({ scoring }) => scoring)),
  };
}

/** Share of pairs of rewards that are equal. */
function tiedPairs(rewards) {
  const sorted = Float64Array.from(rewards).sort();
  let pairs = 0;
  for (let start = 0, end; start < sorted.length; start = end) {
    end = start + 1;
    while (end < sorted.length && sorted[end] === sorted[start]) end++;
    pairs += ((end - start) * (end - start - 1)) / 2;
  }
  return pairs / ((sorted.length * (sorted.length - 1)) / 2);
}
