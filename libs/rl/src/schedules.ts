/** Parameters of {@link linearSchedule}. */
export interface LinearScheduleSettings {
  /** The value after the warm-up. */
  readonly peak: number;
  /** The value decayed to, reached at `totalSteps`; 0 for a decay to nothing, `peak` for none. */
  readonly final: number;
  /** Steps of linear warm-up: step i < warmupSteps has peak·(i+1)/warmupSteps. 0 for none. */
  readonly warmupSteps: number;
  /** Steps in all, > warmupSteps. */
  readonly totalSteps: number;
}

/**
 * A learning rate that warms up linearly, then decays linearly. Steps count from 0. The last step, `totalSteps − 1`,
 * is still above `final`, so no step is wasted on a rate of 0; steps beyond have `final`.
 *
 * @throws Error if the settings are not whole, non-negative steps with warmupSteps < totalSteps
 */
export function linearSchedule(step: number, settings: LinearScheduleSettings): number {
  const { peak, final, warmupSteps, totalSteps } = settings;
  if (!(
    Number.isInteger(warmupSteps) &&
    Number.isInteger(totalSteps) &&
    warmupSteps >= 0 &&
    warmupSteps < totalSteps
  )) {
    throw new Error(
      `a schedule needs 0 ≤ warmupSteps < totalSteps, not ${String(warmupSteps)} and ${String(totalSteps)}`,
    );
  }
  if (step < warmupSteps) return (peak * (step + 1)) / warmupSteps;
  const progress = Math.min(1, (step - warmupSteps) / (totalSteps - warmupSteps));
  return peak + (final - peak) * progress;
}
