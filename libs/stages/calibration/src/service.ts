import type { CalibratedRollout, CalibrationState, CalibratorServiceService, ScoredRollout } from '@infalign/contracts';
import { InputError, parseTransformation } from '@infalign/core';
import { RpcError, type RpcHandlers } from '@infalign/rpc';
import { calibrationKey, topics } from '@infalign/rollout-stream';
import { calibratedRollouts, fittedStates } from './batch.js';
import type { RewardCalibration } from './calibration-run.js';

/** What the calibrator's calls need. */
export interface CalibrationServiceOptions {
  /** The run whose references calibrate the rollouts of a run: itself, where it samples references. @throws InputError */
  referenceRun(runId: string): Promise<string>;
  /**
   * The reference distributions of prompts by their {@link calibrationKey}, as the stream has them now; those that are not
   * there are left out.
   *
   * @param signal ends the reading, which can take long
   */
  states(wanted: readonly PromptOfRun[], signal: AbortSignal): Promise<ReadonlyMap<string, CalibrationState>>;
}

/** Whose reference distribution is asked for. */
export interface PromptOfRun {
  /** The run that samples the references. */
  readonly runId: string;
  readonly promptId: string;
}

/** The calibrator's calls. */
export function calibrationService(options: CalibrationServiceOptions): RpcHandlers<typeof CalibratorServiceService> {
  return {
    async calibrate({ rollouts, transformation, states }, { signal }) {
      if (rollouts.length === 0) throw new InputError('rollouts: empty; send one at least');
      checkRollouts('rollouts', rollouts);
      for (const state of states) topics.calibrationState.codec.encode(state);
      const calibration = { transformation: parseTransformation(transformation), corrected: false };
      try {
        if (states.length > 0) return { rollouts: calibratedRollouts(rollouts, states, calibration) };
        return { rollouts: await calibratedByRun(rollouts, calibration, options, signal) };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        throw new RpcError('FAILED_PRECONDITION', 'REFERENCES_MISSING', error.message, { cause: error });
      }
    },
    async getCalibration({ runId, promptId }, { signal }) {
      if (runId === '' || promptId === '') throw new InputError('run_id and prompt_id: both are needed');
      const state = (await options.states([{ runId, promptId }], signal)).get(calibrationKey(runId, promptId));
      if (state) return { state };
      throw new RpcError(
        'NOT_FOUND',
        'CALIBRATION_UNKNOWN',
        `run ${JSON.stringify(runId)} has no references of prompt ${JSON.stringify(promptId)}`,
        { remedy: 'give the run that samples the references, and wait until they are scored' },
      );
    },
    fitCalibration({ references }) {
      if (references.length === 0) throw new InputError('references: empty; send one at least');
      checkRollouts('references', references);
      const settings = { window: undefined, driftFalseAlarmRate: undefined };
      return Promise.resolve({ states: fittedStates(references, [], settings) });
    },
  };
}

/** Each calibrated against the references of its own prompt, of the run that its run is calibrated with. */
async function calibratedByRun(
  rollouts: readonly ScoredRollout[],
  calibration: RewardCalibration,
  options: CalibrationServiceOptions,
  signal: AbortSignal,
): Promise<CalibratedRollout[]> {
  const referenceRuns = new Map<string, string>();
  for (const { rollout } of rollouts) {
    const { runId } = rollout!;
    if (!referenceRuns.has(runId)) referenceRuns.set(runId, await options.referenceRun(runId));
  }
  const wanted = rollouts.map(({ rollout }) => ({
    runId: referenceRuns.get(rollout!.runId)!,
    promptId: rollout!.promptId,
  }));
  const states = await options.states(wanted, signal);
  return rollouts.flatMap((scored, index) => {
    const state = states.get(calibrationKey(wanted[index]!.runId, wanted[index]!.promptId));
    return calibratedRollouts([scored], state ? [state] : [], calibration);
  });
}

function checkRollouts(field: string, rollouts: readonly ScoredRollout[]): void {
  rollouts.forEach((rollout, index) => {
    try {
      topics.rolloutScored.codec.encode(rollout);
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      throw new InputError(`${field}[${index}].${error.message}`);
    }
  });
}
