import { kolmogorovSmirnovPValue } from '@infalign/core';
import { z } from 'zod';
import { mostRollouts, wholeNumber } from './fields.js';

interface Calibration {
  readonly references: number;
  readonly window?: number;
  readonly minimum_references?: number;
  readonly drift_false_alarm_rate: number;
}

function checkCalibration(calibration: Calibration, context: z.RefinementCtx): void {
  const { references, window, minimum_references: minimum, drift_false_alarm_rate: rate } = calibration;
  const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  if (minimum !== undefined && minimum > (window ?? references)) {
    const most = window === undefined ? `references, which is ${references}` : `the window, which is ${window}`;
    complain('minimum_references', `${minimum} is more than ${most}: there will never be so many`);
  }
  // The largest distance there is, between two full windows.
  if (window !== undefined && kolmogorovSmirnovPValue(1, window, window) > rate) {
    complain('window', `${window} is too small to find any drift with a false-alarm rate of ${rate}`);
  }
}

/** The empirical distribution of rewards under the base policy. */
export const calibration = z
  .strictObject({
    references: wholeNumber(
      1,
      100,
      'Responses of the base policy that each prompt is calibrated with (K).',
      mostRollouts,
    ),
    finite_k_correction: z
      .boolean()
      .default(false)
      .describe(
        'Correct the transformed reward for the bias of a finite number of references; with exp:T it takes twice as many of ' +
          'them as T.',
      ),
    window: z
      .int()
      .min(1)
      .exactOptional()
      .describe(
        "A prompt's latest so many references calibrate it, and older ones leave: calibration follows a live stream of " +
          'reference rollouts. Without it, all are kept.',
      ),
    minimum_references: z
      .int()
      .min(1)
      .exactOptional()
      .describe(
        'A prompt with fewer references is new. Without it, as many as `references`, or as the window holds if that ' +
          'is less: what a rollout is calibrated with does not depend on when it arrives.',
      ),
    new_prompts: z
      .enum(['hold', 'pool'])
      .default('hold')
      .describe(
        "What becomes of a new prompt's training rollouts: they are held until it has enough references, or " +
          'calibrated by those of all prompts of its partition together, each prompt weighing the same.',
      ),
    drift_false_alarm_rate: z
      .number()
      .gt(0)
      .lt(1)
      .default(0.001)
      .describe(
        'Probability that a drift test alarms when nothing has changed. A prompt is tested whenever its window has been ' +
          'replaced entirely.',
      ),
  })
  .superRefine(checkCalibration);
