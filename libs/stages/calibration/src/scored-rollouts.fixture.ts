import { parseTransformation } from '@infalign/core';
import { Purpose, type ScoredRollout } from '@infalign/contracts';
import type { CalibrationRun, ReferenceSettings, TrainingCalibration } from './calibration-run.js';

/** What a test says of a rollout. */
export interface RolloutOptions {
  readonly runId?: string;
  readonly rolloutId?: string;
  readonly modelVersion?: string;
  readonly batchId?: string;
  readonly batchRollouts?: number;
}

let rollouts = 0;

/** A scored rollout of its own, in a batch of its own. */
export function scoredRollout(
  purpose: Purpose,
  promptId: string,
  reward: number,
  options: RolloutOptions = {},
): ScoredRollout {
  rollouts++;
  const { runId = 'run', modelVersion = 'v1', batchId = `batch-${rollouts}`, batchRollouts = 1 } = options;
  return {
    rollout: {
      rolloutId: options.rolloutId ?? `${runId}/${promptId}/${rollouts}`,
      runId,
      promptId,
      purpose,
      policyVersion: 0,
      sampleIndex: 0,
      seed: 1,
      promptTokens: [1],
      responseTokens: [2],
      logProbs: [-1],
      ended: false,
      temperature: 1,
      batchId,
      batchRollouts,
    },
    reward: { model: 'reward', modelVersion, reward },
    judge: undefined,
  };
}

/** Reference rollouts of one prompt that were dispatched together. */
export function references(
  promptId: string,
  rewards: readonly number[],
  options: RolloutOptions = {},
): ScoredRollout[] {
  const batchId = `references-${++rollouts}`;
  return rewards.map((reward) =>
    scoredRollout(Purpose.PURPOSE_REFERENCE, promptId, reward, { batchId, batchRollouts: rewards.length, ...options }),
  );
}

/** A training rollout. */
export function training(promptId: string, reward: number, options: RolloutOptions = {}): ScoredRollout {
  return scoredRollout(Purpose.PURPOSE_TRAINING, promptId, reward, options);
}

/** A run that calibrates by its own references. */
export function calibrationRun(
  settings: Partial<TrainingCalibration & ReferenceSettings> & { readonly transform?: string } = {},
): CalibrationRun {
  const { window, driftFalseAlarmRate, transform = 'identity', ...rest } = settings;
  return {
    references: { window, driftFalseAlarmRate },
    training: {
      referenceRunId: 'run',
      transformation: transform === 'raw' ? transform : parseTransformation(transform),
      corrected: false,
      minimumReferences: 1,
      newPrompts: 'hold',
      ...rest,
    },
  };
}
