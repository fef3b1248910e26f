import type { CalibratedRollout, CalibrationState, CalibratorServiceService, ScoredRollout } from '@infalign/contracts';
import { InputError, parseTransformation } from '@infalign/core';
import { RpcError, type RpcHandlers } from '@infalign/rpc';
import { topics } from '@infalign/rollout-stream';
import { calibratedRollouts, fittedStates } from './batch.js';
import type { RewardCalibration } from './calibration-run.js';

/** What the calibrator's calls need. */
export interface CalibrationServiceOptions {
  /** The run whose references calibrate the rollouts of a run: itself, where it samples references. @throws InputError */
  referenceRun(runId: string): Promise<string>;
  /** The reference distribution of a prompt, as the stream has it now; nothing if there is none. */
  state(referenceRunId: string, promptId: string): Promise<CalibrationState | undefined>;
}

/** The calibrator's calls. */
export function calibrationService(options: CalibrationServiceOptions): RpcHandlers<typeof CalibratorServiceService> {
  return {
    async calibrate({ rollouts, transformation, states }) {
      if (rollouts.length === 0) throw new InputError('rollouts: empty; send one at least');
      checkRollouts('rollouts', rollouts);
      for (const state of states) topics.calibrationState.codec.encode(state);
      const calibration = { transformation: parseTransformation(transformation), corrected: false };
      try {
        if (states.length > 0) return { rollouts: calibratedRollouts(rollouts, states, calibration) };
        return { rollouts: await calibratedByRun(rollouts, calibration, options) };
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        throw new RpcError('FAILED_PRECONDITION', 'REFERENCES_MISSING', error.message, { cause: error });
      }
    },
    async getCalibration({ runId, promptId }) {
      if (runId === '' || promptId === '') throw new InputError('run_id and prompt_id: both are needed');
      const state = await options.state(runId, promptId);
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
): Promise<CalibratedRollout[]> {
  const calibrated: CalibratedRollout[] = [];
  const states = new Map<string, CalibrationState | undefined>();
  for (const scored of rollouts) {
    const { runId, promptId } = scored.rollout!;
    const key = JSON.stringify([runId, promptId]);
    if (!states.has(key)) states.set(key, await options.state(await options.referenceRun(runId), promptId));
    const state = states.get(key);
    calibrated.push(...calibratedRollouts([scored], state ? [state] : [], calibration));
  }
  return calibrated;
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
