import type { Experiment } from '@infalign/run-config';
import type { CarryOut } from './carry-out.js';
import type { ExperimentFolder } from './experiment-folder.js';

/** What a step is given to work with. */
export interface StepContext {
  /** As it is carried out: its procedures are none of a step's business. */
  readonly experiment: Experiment;
  readonly folder: ExperimentFolder;
  /** Where downloaded datasets are kept between experiments. */
  readonly cacheFolder: string;
  /** Carries out the runs of steps: in this process, or on services. */
  readonly carryOut: CarryOut;
  /**
   * Tells how far a phase of the step is: `done` of `total` things. Steps compute without a pause; waiting for this lets
   * the process see signals and messages.
   */
  readonly progress: (phase: string, done: number, total: number) => Promise<void>;
}

/** A step's work: leaves files in its folder and returns its result, JSON data that is a function of the experiment alone. */
export type StepBody = (context: StepContext) => Promise<unknown>;
