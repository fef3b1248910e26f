import type { Transformation } from '@infalign/core';
import { Purpose, type ScoredRollout } from '@infalign/contracts';
import { isFrom, outgoing, topics, type OutgoingRecord, type Stage } from '@infalign/rollout-stream';
import { calibratedRollout } from './batch.js';
import type { ReferenceDistributions } from './reference-distributions.js';

/** What a calibrator needs. */
export interface CalibrationStageOptions {
  readonly distributions: ReferenceDistributions;
  readonly transformation: Transformation;
  /** Whether the bias of Φ(Ĉ) that comes of a finite K is taken out. */
  readonly corrected: boolean;
  readonly maxBatchRecords: number;
}

/**
 * The calibrator: reference rollouts in `rollout.scored` extend their prompt's distribution, announced on
 * `calibration.state`; training rollouts leave on `rollout.calibrated`. Evaluation rollouts pass it by.
 */
export function calibrationStage(options: CalibrationStageOptions): Stage {
  const { distributions, transformation, corrected, maxBatchRecords } = options;
  return {
    name: 'calibrator',
    inputs: [topics.rolloutScored],
    maxBatchRecords,
    process(batch) {
      const scored = batch.filter((record) => isFrom(record, topics.rolloutScored)).map((record) => record.value);
      const outputs: OutgoingRecord[] = [];
      for (const rollouts of byPromptAndModel(scored.filter(hasPurpose(Purpose.PURPOSE_REFERENCE))).values()) {
        const { rollout, reward } = rollouts[0]!;
        const rewards = rollouts.map((reference) => reference.reward!.reward);
        const state = distributions.extended(rollout!.promptId, reward!.modelVersion, rewards);
        distributions.put(state);
        outputs.push(outgoing(topics.calibrationState, state));
      }
      for (const rollout of scored.filter(hasPurpose(Purpose.PURPOSE_TRAINING))) {
        const state = distributions.get(rollout.rollout!.promptId, rollout.reward!.modelVersion);
        outputs.push(outgoing(topics.rolloutCalibrated, calibratedRollout(rollout, state, transformation, corrected)));
      }
      return Promise.resolve({ outputs, consumed: batch.length });
    },
  };
}

function hasPurpose(purpose: Purpose): (scored: ScoredRollout) => boolean {
  return (scored) => scored.rollout!.purpose === purpose;
}

function byPromptAndModel(rollouts: readonly ScoredRollout[]): Map<string, ScoredRollout[]> {
  const groups = new Map<string, ScoredRollout[]>();
  for (const scored of rollouts) {
    const key = JSON.stringify([scored.rollout!.promptId, scored.reward!.modelVersion]);
    const group = groups.get(key);
    if (group) group.push(scored);
    else groups.set(key, [scored]);
  }
  return groups;
}
