import type { Transformation } from '@infalign/core';

/** What the calibrator has to know of a run. It stays the same as long as the run lasts. */
export interface CalibrationRun {
  /** How the references that the run samples are kept. */
  readonly references: ReferenceSettings;
  /** How its training rollouts are calibrated; none where it trains nothing. */
  readonly training: TrainingCalibration | undefined;
  /** The run whose references its evaluation rollouts are measured against, for those who watch; it can be the run itself. */
  readonly heldOutRunId?: string;
}

/** How a prompt's references are kept. */
export interface ReferenceSettings {
  /** The latest so many make the distribution, at least 1; none where all do. */
  readonly window: number | undefined;
  /**
   * The probability that a drift test alarms when nothing has changed, between 0 and 1; none where nothing is tested. There
   * are tests only where there is a window.
   */
  readonly driftFalseAlarmRate: number | undefined;
}

/** How rewards are calibrated and transformed. */
export interface RewardCalibration {
  /** Of the calibrated reward; or `raw`, where the raw one is learned from as it is, and the calibrated one is only told. */
  readonly transformation: Transformation | 'raw';
  /** Whether the bias of Φ(Ĉ) that comes of a finite number of references is taken out. */
  readonly corrected: boolean;
}

/** How training rollouts are calibrated. */
export interface TrainingCalibration extends RewardCalibration {
  /** The run whose references they are calibrated against; it can be the run itself. */
  readonly referenceRunId: string;
  /** So many of a prompt's own references are used, drawn at random; none where all are. */
  readonly subset?: ReferenceSubset | undefined;
  /** A prompt with fewer references is new; at least 1. */
  readonly minimumReferences: number;
  /** Whether a new prompt's rollouts are held, or calibrated against all prompts of the partition together. */
  readonly newPrompts: 'hold' | 'pool';
}

/** Some of a prompt's references. */
export interface ReferenceSubset {
  /** How many; at least 1. All where there are fewer. */
  readonly references: number;
  /** Says which, together with the prompt. */
  readonly seed: number;
}
