import { calibrateReward, countTies, seededRandom, shuffled, sortedReferences } from '@infalign/core';
import { CalibrationSource } from '@infalign/contracts';
import type { ReferenceSubset } from './calibration-run.js';
import type { ReferenceDistribution } from './reference-distribution.js';

/** What rewards are calibrated against. */
export interface CalibrationBasis {
  readonly source: CalibrationSource;
  /** Grows with every change of the references. */
  readonly version: number;
  /** Number of reference rewards; at least 1. */
  readonly references: number;
  /** The calibrated reward, in [0, 1]. */
  calibrate(reward: number): number;
  /** How many of the references have this reward, where the finite-K correction applies: it has to know them. */
  ties?(reward: number): number;
}

/** The references of the rollout's own prompt. */
export function promptBasis({ version, references }: ReferenceDistribution): CalibrationBasis {
  return {
    source: CalibrationSource.CALIBRATION_SOURCE_PROMPT,
    version,
    references: references.length,
    calibrate: (reward) => calibrateReward(reward, references),
    ties: (reward) => countTies(reward, references),
  };
}

/**
 * Some of the references of the rollout's own prompt. While those that are there change, so may those that are chosen.
 */
export function subsetBasis(
  distribution: ReferenceDistribution,
  { references, seed }: ReferenceSubset,
): CalibrationBasis {
  const random = seededRandom('reference-subset', seed, distribution.promptId);
  const chosen = shuffled(Array.from(distribution.references), random).slice(0, references);
  return promptBasis({ ...distribution, references: sortedReferences(chosen) });
}

/**
 * The references of several prompts: the mixture of their distributions in which each prompt weighs the same, however many
 * references it has.
 *
 * @param distributions at least one, of one reward model; their order decides the last bit of the result
 * @param version a number that grows with every change of any of them
 */
export function pooledBasis(distributions: readonly ReferenceDistribution[], version: number): CalibrationBasis {
  return {
    source: CalibrationSource.CALIBRATION_SOURCE_POOLED,
    version,
    references: distributions.reduce((sum, { references }) => sum + references.length, 0),
    calibrate: (reward) =>
      distributions.reduce((sum, { references }) => sum + calibrateReward(reward, references), 0) /
      distributions.length,
  };
}
