import { measureCalibrationError } from './calibration-error.mjs';
import { measureCalibratedRewardModel } from './calibrated-reward-model.mjs';
import { measureDrift } from './drift.mjs';
import { efficiencyRuns, measureEfficiency } from './efficiency.mjs';
import { measureFiniteKBias } from './finite-k-bias.mjs';
import { heldOutRollouts } from './held-out-rollouts.mjs';
import { measureLogitBias } from './logit-bias.mjs';

/**
 * What an ablation is measured on.
 *
 * @typedef {object} Ablation
 * @property {ReturnType<import('./finished-experiment.mjs').openFinishedExperiment>} finished
 * @property {typeof import('./settings.mjs').settings} settings
 * @property {ReturnType<typeof heldOutRollouts>} heldOut fresh rollouts of the base policy, with as many references as there are at most
 */

/** All ablations by name: each returns JSON data. */
export const ablations = {
  'calibration-error': measureCalibrationError,
  'finite-k-bias': measureFiniteKBias,
  'calibrated-reward-model': measureCalibratedRewardModel,
  drift: measureDrift,
  efficiency: measureEfficiency,
  'logit-bias': measureLogitBias,
};

/**
 * Measures ablations on what an experiment has left.
 *
 * @param {Ablation['finished']} finished
 * @param {Ablation['settings']} settings
 * @param {readonly (keyof typeof ablations)[]} names
 * @param {(text: string) => void} tell what is done
 * @returns the results of each by its name, and the seconds that each took beside the rollouts that all share
 * @throws InputError if the folder does not have what one of them needs
 */
export async function measureAblations(finished, settings, names, tell) {
  // Before anything is computed.
  if (names.includes('efficiency')) efficiencyRuns(finished);
  const results = {};
  const seconds = {};
  const measure = async (name, action) => {
    tell(`${name} …`);
    const start = performance.now();
    const result = await action();
    seconds[name] = (performance.now() - start) / 1000;
    tell(`${name}: ${seconds[name].toFixed(1)} s`);
    return result;
  };
  const heldOut = await measure('rollouts', () =>
    heldOutRollouts(finished, { ...settings, references: settings.references.at(-1) }),
  );
  for (const name of names) {
    results[name] = await measure(name, () => ablations[name]({ finished, settings, heldOut }));
  }
  return { seconds, results };
}
