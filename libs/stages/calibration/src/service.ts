import type { CalibrationState, CalibratorServiceService, ScoredRollout } from '@infalign/contracts';
import { InputError, parseTransformation } from '@infalign/core';
import { RpcError, type RpcHandlers } from '@infalign/rpc';
import { topics } from '@infalign/rollout-stream';
import { calibratedRollouts, fittedStates } from './batch.js';

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
      const known = states.length > 0 ? states : await statesFor(rollouts, options);
      try {
        return { rollouts: calibratedRollouts(rollouts, known, calibration) };
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

async function statesFor(
  rollouts: readonly ScoredRollout[],
  { referenceRun, state }: CalibrationServiceOptions,
): Promise<CalibrationState[]> {
  const wanted = new Map(
    rollouts.map(({ rollout }) => [JSON.stringify([rollout!.runId, rollout!.promptId]), rollout!] as const),
  );
  const states: CalibrationState[] = [];
  for (const { runId, promptId } of wanted.values()) {
    const known = await state(await referenceRun(runId), promptId);
    if (known) states.push(known);
  }
  return states;
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
