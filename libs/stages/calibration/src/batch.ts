import { InputError, transformEstimate } from '@infalign/core';
import { Purpose, type CalibratedRollout, type CalibrationState, type ScoredRollout } from '@infalign/contracts';
import { arrivedReferences } from './arrived-references.js';
import { promptBasis, type CalibrationBasis } from './calibration-basis.js';
import type { ReferenceSettings, RewardCalibration } from './calibration-run.js';
import {
  calibrationState,
  referenceDistribution,
  withReferences,
  type ReferenceDistribution,
} from './reference-distribution.js';

/**
 * Calibrates and transforms the reward of one rollout: `Ĉ = (1/K) Σ w(r, r_k)`, `R_Φ = Φ(Ĉ)` normalised to mean 0 and
 * unit variance under u ~ Uniform(0,1) (InfAlign-CTRL, arXiv 2412.19792, Eq. 12).
 *
 * The correction for a finite K is for references of one distribution: against a pool of prompts there is none.
 */
export function calibratedRollout(
  scored: ScoredRollout,
  basis: CalibrationBasis,
  { transformation, corrected }: RewardCalibration,
): CalibratedRollout {
  const { reward } = scored.reward!;
  const calibratedReward = basis.calibrate(reward);
  const isRaw = transformation === 'raw';
  return {
    scored,
    calibratedReward,
    transformedReward: isRaw
      ? reward
      : transformEstimate(transformation, calibratedReward, basis.references, {
          normalised: true,
          ...(corrected && basis.ties && { corrected, ties: basis.ties(reward) }),
        }),
    transformation: isRaw ? transformation : transformation.name,
    calibrationVersion: basis.version,
    references: basis.references,
    source: basis.source,
  };
}

/**
 * Calibrates and transforms rewards, each against the references of its own prompt, whatever the rollouts are for.
 *
 * @param states of one reference run, one a prompt
 * @returns in the order of the rollouts
 * @throws InputError if a prompt has no references, or has them from another version of the reward model
 */
export function calibratedRollouts(
  rollouts: readonly ScoredRollout[],
  states: Iterable<CalibrationState>,
  calibration: RewardCalibration,
): CalibratedRollout[] {
  const distributions = new Map(Array.from(states, (state) => [state.promptId, referenceDistribution(state)]));
  return rollouts.map((scored) => {
    const distribution = distributionFor(scored, distributions);
    return calibratedRollout(scored, promptBasis(distribution), calibration);
  });
}

/**
 * The states that result when reference rollouts arrive together.
 *
 * @param known the states so far of the run that sampled them; those of other prompts do not matter
 * @returns the states that changed, in the order in which their prompts come first
 * @throws InputError if a rollout is no reference rollout, or two of one prompt are of different runs or reward models
 */
export function fittedStates(
  references: readonly ScoredRollout[],
  known: Iterable<CalibrationState>,
  settings: ReferenceSettings,
): CalibrationState[] {
  for (const { rollout } of references) {
    if (rollout!.purpose !== Purpose.PURPOSE_REFERENCE) {
      throw new InputError(
        `Rollout ${rollout!.rolloutId} is no reference rollout: distributions are made of those alone.`,
      );
    }
  }
  const groups = arrivedReferences(references);
  if (new Set(groups.map(({ promptId }) => promptId)).size < groups.length) {
    throw new InputError(
      'The references of a prompt are of different runs or reward models, which are never mixed: give those of one.',
    );
  }
  const states = new Map(Array.from(known, (state) => [state.promptId, state]));
  return groups.map((arrived) => {
    const state = states.get(arrived.promptId);
    const { distribution } = withReferences(state && referenceDistribution(state), arrived, settings);
    return calibrationState(distribution);
  });
}

function distributionFor(
  { rollout, reward }: ScoredRollout,
  distributions: ReadonlyMap<string, ReferenceDistribution>,
): ReferenceDistribution {
  const { promptId } = rollout!;
  const { modelVersion } = reward!;
  const distribution = distributions.get(promptId);
  if (!distribution) {
    throw new InputError(
      `Prompt ${promptId} has no reference rewards: sample reference rollouts for it before its rewards are calibrated.`,
    );
  }
  if (distribution.rewardModelVersion !== modelVersion) {
    throw new InputError(
      `Prompt ${promptId} has reference rewards of reward model ${distribution.rewardModelVersion}, but its rollout was ` +
        `scored by ${modelVersion}. Rewards of different models are not comparable: score the references anew.`,
    );
  }
  return distribution;
}
