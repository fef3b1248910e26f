import { calibrateReward, parseTransformation, sortedReferences, transformEstimate } from '@infalign/core';
import { calibratedBy } from './calibration-error.mjs';
import { exactMean, exactMeanOverRollouts, meanOverLevels } from './exact-values.mjs';
import { meanOf, meanOver } from './interval.mjs';

const transformations = ['exp:10', 'exp:-5', 'log'].map(parseTransformation);

/** Numbers of references whose bias is measured level by level: few enough for a picture. */
const referencesByLevel = [8, 32, 100];

/** Levels of the true calibrated reward, evenly wide. */
const levels = 10;

/**
 * By how much Φ(Ĉ_K) is off from Φ(C) on average, without the finite-K correction and with it where there is one. All on the
 * normalised scale, on which Φ has mean 0 and unit variance: that of β.
 *
 * @param {import('./measure.mjs').Ablation} ablation
 */
export function measureFiniteKBias({ finished, settings, heldOut }) {
  const seed = `${finished.experiment.seed}/finite-k-bias`;
  const { manyRollouts } = settings;
  const many = heldOut.map(({ calibrated, many }) => {
    const sorted = sortedReferences(many.rewards);
    return calibrated.rewards.map((reward) => calibrateReward(reward, sorted));
  });
  const rows = [];
  const byLevel = [];
  for (const transformation of transformations) {
    const isCorrectable = transformation.unbiasedEstimate !== undefined;
    // What stands for Φ(C): where there is an estimate without bias, that; else Φ of C, whose own bias is in the exact value too.
    const target = estimateOf(transformation, isCorrectable);
    const targets = many.map((values) => values.map((value) => target(value, manyRollouts)));
    const targetVariance = meanOverLevels((c) => exactVariance(target, manyRollouts, c), 0, 1, 100);
    const targetMean = exactMeanOverRollouts(target, manyRollouts);
    for (const references of settings.references) {
      const calibrated = heldOut.map((rollouts) => calibratedBy(rollouts, references));
      for (const corrected of isCorrectable ? [false, true] : [false]) {
        const estimate = estimateOf(transformation, corrected);
        const of = { transformation: transformation.name, references, corrected };
        const label = `${seed}/${Object.values(of).join('/')}`;
        // By prompt, of every rollout: its true level, and Φ(Ĉ) − Φ(C) by each group of references.
        const differences = calibrated.map((groups, index) =>
          many[index].map((level, i) => ({
            level,
            values: groups.map((values) => estimate(values[i], references) - targets[index][i]),
          })),
        );
        const all = differences.map((rollouts) => rollouts.flatMap(({ values }) => values));
        const square = (c) => exactMean((u, k) => (estimate(u, k) - transformation.normalised(c)) ** 2, references, c);
        rows.push({
          ...of,
          bias: meanOver(all.map(meanOf), label),
          exact_bias: exactMeanOverRollouts(estimate, references) - targetMean,
          error: Math.sqrt(Math.max(0, meanOf(all.map((own) => meanOf(own.map((one) => one * one)))) - targetVariance)),
          exact_error: Math.sqrt(meanOverLevels(square)),
        });
        if (!referencesByLevel.includes(references)) continue;
        for (let level = 0; level < levels; level++) {
          const [from, to] = [level / levels, (level + 1) / levels];
          const within = differences
            .map((rollouts) => rollouts.filter((one) => isWithin(one.level, from, to)).flatMap(({ values }) => values))
            .filter((values) => values.length > 0);
          if (within.length === 0) continue;
          const bias = (c) => exactMean(estimate, references, c) - exactMean(target, manyRollouts, c);
          byLevel.push({
            ...of,
            from,
            to,
            bias: meanOver(within.map(meanOf), `${label}/${level}`),
            exact_bias: meanOverLevels(bias, from, to, 20),
          });
        }
      }
    }
  }
  return { scale: 'normalised', rows, by_level: byLevel };
}

/** Φ of an empirical calibrated reward, as the calibrator has it, on the normalised scale. */
function estimateOf(transformation, corrected) {
  return (calibratedReward, references) =>
    transformEstimate(transformation, calibratedReward, references, { normalised: true, corrected });
}

function exactVariance(estimate, references, c) {
  const mean = exactMean(estimate, references, c);
  return exactMean((u, k) => (estimate(u, k) - mean) ** 2, references, c);
}

/** Whether a level holds a value; the last one holds its upper end too. */
function isWithin(value, from, to) {
  return value >= from && (value < to || (to === 1 && value === 1));
}
