import { calibrateReward, InputError } from '@infalign/core';
import { Purpose, type ScoredRollout } from '@infalign/contracts';
import {
  outgoing,
  recordBatches,
  refused,
  removal,
  topics,
  type ConsumedRecord,
  type OutgoingRecord,
  type RolloutStream,
  type Stage,
} from '@infalign/rollout-stream';
import { arrivedReferences } from './arrived-references.js';
import { calibratedRollout } from './batch.js';
import type { CalibrationRun, ReferenceSettings, TrainingCalibration } from './calibration-run.js';
import { readPartitionState, type PartitionState } from './partition-state.js';
import { calibrationState, withReferences } from './reference-distribution.js';

/** What a calibrator needs. */
export interface CalibrationStageOptions {
  /** Where state is read from when a partition is opened. */
  readonly stream: RolloutStream;
  /**
   * What there is to know of a run. Asked for again and again: it should remember.
   *
   * @throws InputError if there is no such run
   */
  readonly run: (runId: string) => Promise<CalibrationRun>;
  readonly maxBatchRecords: number;
  /** Told of rollouts that nothing is learned from, for those who watch; without it, they are not calibrated. */
  readonly onMeasured?: (measured: MeasuredRollouts) => void;
}

/** Rollouts of one run, calibrated only to be looked at. */
export interface MeasuredRollouts {
  readonly runId: string;
  /** 0 is the reference policy: that of a reference rollout against the references before it is uniform, if all is well. */
  readonly policyVersion: number;
  /** Against references that do not hold the rollouts; at least one, each in [0, 1]. */
  readonly calibratedRewards: readonly number[];
}

/**
 * The calibrator: reference rollouts in `rollout.scored` change their prompt's distribution, announced on
 * `calibration.state`; training rollouts leave on `rollout.calibrated`, or wait on `calibration.held` until there are
 * enough references. Evaluation rollouts pass it by. What cannot be used is a dead letter.
 *
 * Reference rollouts that were dispatched together make one change of each prompt among them. What is made of a sequence
 * of records does not depend on how many of them are read at once, nor on restarts.
 */
export function calibrationStage({
  stream,
  run,
  maxBatchRecords,
  onMeasured,
}: CalibrationStageOptions): Stage<ScoredRollout> {
  return {
    name: 'calibrator',
    input: topics.rolloutScored,
    maxBatchRecords,
    async open(partition) {
      const state = await readPartitionState(stream, partition, run);
      return {
        async process(records) {
          const outputs: OutgoingRecord[] = [];
          let consumed = 0;
          for (const together of batchesOf(records)) {
            outputs.push(...(await processed(together, state, run, onMeasured)));
            consumed += together.length;
          }
          return { outputs, consumed };
        },
      };
    },
  };
}

type ScoredRecord = ConsumedRecord<ScoredRollout>;

/** The batches at the beginning that can be processed: reference rollouts wait for all of theirs. */
function batchesOf(records: readonly ScoredRecord[]): (readonly ScoredRecord[])[] {
  // Where a batch will not become complete, what there is of it is used.
  const batches = recordBatches(records, ({ rollout }) => {
    const { runId, batchId, purpose, batchRollouts } = rollout!;
    return { id: JSON.stringify([runId, batchId, purpose]), size: batchRollouts };
  }).map((batch) => batch.records);
  const rest = records.slice(batches.reduce((sum, batch) => sum + batch.length, 0));
  if (rest.length > 0 && purposeOf(rest[0]!) !== Purpose.PURPOSE_REFERENCE) batches.push(rest);
  return batches;
}

function purposeOf(record: ScoredRecord): Purpose {
  return record.value.rollout!.purpose;
}

/** Processes records of one batch, and so of one run and purpose. */
async function processed(
  records: readonly ScoredRecord[],
  state: PartitionState,
  run: CalibrationStageOptions['run'],
  onMeasured: CalibrationStageOptions['onMeasured'],
): Promise<OutgoingRecord[]> {
  const purpose = purposeOf(records[0]!);
  if (purpose === Purpose.PURPOSE_EVALUATION && !onMeasured) return [];
  const { runId } = records[0]!.value.rollout!;
  let settings: CalibrationRun;
  try {
    settings = await run(runId);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    // Evaluation rollouts are refused by those who measure them.
    return purpose === Purpose.PURPOSE_EVALUATION ? [] : records.map((record) => refused(record, error.message));
  }
  if (purpose !== Purpose.PURPOSE_TRAINING && onMeasured) {
    const referenceRunId = purpose === Purpose.PURPOSE_REFERENCE ? runId : (settings.heldOutRunId ?? runId);
    measure(records, referenceRunId, state, onMeasured);
  }
  if (purpose === Purpose.PURPOSE_EVALUATION) return [];
  if (purpose === Purpose.PURPOSE_REFERENCE) return recalibrated(records, state, settings.references);
  const { training } = settings;
  if (!training) return records.map((record) => refused(record, `run ${runId} does not calibrate training rollouts`));
  return records.map((record) => calibrated(record, state, training)).flat();
}

/** Tells how rollouts stand among references that do not hold them, where there are such. */
function measure(
  records: readonly ScoredRecord[],
  referenceRunId: string,
  state: PartitionState,
  onMeasured: NonNullable<CalibrationStageOptions['onMeasured']>,
): void {
  const { runId, policyVersion } = records[0]!.value.rollout!;
  const calibratedRewards = records.flatMap(({ value: { rollout, reward } }) => {
    const known = state.distribution(referenceRunId, rollout!.promptId);
    return known?.rewardModelVersion === reward!.modelVersion
      ? [calibrateReward(reward!.reward, known.references)]
      : [];
  });
  if (calibratedRewards.length > 0) onMeasured({ runId, policyVersion, calibratedRewards });
}

/** What comes of a batch of reference rollouts. */
function recalibrated(
  records: readonly ScoredRecord[],
  state: PartitionState,
  settings: ReferenceSettings,
): OutgoingRecord[] {
  const outputs: OutgoingRecord[] = [];
  for (const arrived of arrivedReferences(records.map(({ value }) => value))) {
    const { runId, promptId, rewardModelVersion } = arrived;
    if (state.isReplaced(runId, promptId, rewardModelVersion)) {
      const late = records.filter(
        ({ value }) => value.rollout!.promptId === promptId && value.reward!.modelVersion === rewardModelVersion,
      );
      outputs.push(...late.map((record) => refused(record, staleness(record.value, runId, state))));
      continue;
    }
    const { distribution, events } = withReferences(state.distribution(runId, promptId), arrived, settings);
    state.put(distribution);
    outputs.push(
      outgoing(topics.calibrationState, calibrationState(distribution)),
      ...events.map((event) => outgoing(topics.calibrationEvents, event)),
    );
  }
  return [...outputs, ...released(records.at(-1)!, state)];
}

/**
 * Held rollouts that need not wait any more, in the order in which they came.
 *
 * @param cause the last of the reference rollouts that have arrived
 */
function released(cause: ScoredRecord, state: PartitionState): OutgoingRecord[] {
  const outputs: OutgoingRecord[] = [];
  const { runId } = cause.value.rollout!;
  for (const held of state.heldFor(runId)) {
    const { scored, training } = held;
    const stale = state.isReplaced(runId, scored.rollout!.promptId, scored.reward!.modelVersion);
    const basis = stale ? undefined : state.basisFor(scored, training);
    if (!stale && !basis) continue;
    state.release(held);
    outputs.push(
      basis
        ? outgoing(topics.rolloutCalibrated, calibratedRollout(scored, basis, training))
        : refused({ ...cause, value: scored }, `held until now: ${staleness(scored, runId, state)}`),
      removal(topics.calibrationHeld, { scored }),
    );
  }
  return outputs;
}

/** What comes of a training rollout. */
function calibrated(record: ScoredRecord, state: PartitionState, training: TrainingCalibration): OutgoingRecord[] {
  const scored = record.value;
  const { referenceRunId } = training;
  if (state.isReplaced(referenceRunId, scored.rollout!.promptId, scored.reward!.modelVersion)) {
    return [refused(record, staleness(scored, referenceRunId, state))];
  }
  const basis = state.basisFor(scored, training);
  if (basis) return [outgoing(topics.rolloutCalibrated, calibratedRollout(scored, basis, training))];
  state.hold({ scored, training });
  return [outgoing(topics.calibrationHeld, { scored })];
}

function staleness({ rollout, reward }: ScoredRollout, referenceRunId: string, state: PartitionState): string {
  const { promptId, rolloutId } = rollout!;
  return (
    `rollout ${rolloutId} was scored by reward model ${reward!.modelVersion}, whose references of prompt ${promptId} ` +
    `those of ${state.distribution(referenceRunId, promptId)?.rewardModelVersion} have replaced`
  );
}
