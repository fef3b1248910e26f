import type { CalibrationState, LearningStatistics, Run } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import type { RolloutStream } from '@infalign/rollout-stream';
import type { StepContext } from './step-context.js';

/** A run that has been carried out: where its records are, and what its learner has to say. */
export interface CarriedOutRun {
  /** Says from where on there are records of it in the stream. */
  readonly record: Run;
  /** Holds the run's records, and perhaps those of others. */
  readonly stream: RolloutStream;
  /** The statistics of every iteration; empty where nothing is learned. */
  readonly history: readonly LearningStatistics[];
  /** The policy version that learning has ended with; 0 where nothing is learned. */
  readonly finalVersion: number;
}

/** What is carried out. */
export interface RunOfStep {
  /** Name of the step. */
  readonly step: string;
  /** Reference distributions that its rewards are calibrated against; those that the services have made themselves are theirs. */
  readonly calibration: readonly CalibrationState[];
}

/**
 * Carries out the run of a step, from wherever an earlier attempt got to, and gives it to `collect` while its records can
 * be read.
 */
export type CarryOut = <Result>(
  run: RunOfStep,
  context: StepContext,
  collect: (run: CarriedOutRun) => Promise<Result>,
) => Promise<Result>;

/**
 * What a run has left of each prompt, in the order of the prompts.
 *
 * @param what it is, for the message
 * @param place the folder of the run's step
 * @throws InputError if there is nothing of one
 */
export function leftOfEach<T>(
  prompts: readonly { readonly id: string }[],
  left: ReadonlyMap<string, T>,
  what: string,
  place: string,
): T[] {
  return prompts.map(({ id }) => {
    const own = left.get(id);
    if (own !== undefined) return own;
    throw new InputError(
      `${place}: the records of its run hold no ${what} of prompt ${id}. Delete this folder, then resume the experiment; on ` +
        'services, run it under a new name.',
    );
  });
}
