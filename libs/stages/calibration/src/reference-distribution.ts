import { sortedReferences } from '@infalign/core';
import type { CalibrationDrift, CalibrationEvent, CalibrationState, RewardModelChange } from '@infalign/contracts';
import type { ReferenceSettings } from './calibration-run.js';
import { driftBetween } from './drift.js';

/** A prompt's reference distribution, as `CalibrationState` has it, in the form that calibration needs. */
export interface ReferenceDistribution {
  readonly runId: string;
  readonly promptId: string;
  readonly version: number;
  readonly rewardModelVersion: string;
  /** Ascending; at least one. */
  readonly references: Float64Array;
  /** The same in the order of their arrival, where there is a window; else empty. */
  readonly window: readonly number[];
  readonly seen: number;
  /** What drift tests compare the window with, ascending: the first full window, or that of the last drift; else empty. */
  readonly baseline: readonly number[];
}

/** The distribution that a state describes. */
export function referenceDistribution(state: CalibrationState): ReferenceDistribution {
  return { ...state, references: sortedReferences(state.references) };
}

/** The state that describes a distribution. */
export function calibrationState(distribution: ReferenceDistribution): CalibrationState {
  const { references, window, baseline } = distribution;
  return { ...distribution, references: Array.from(references), window: [...window], baseline: [...baseline] };
}

/** References that have arrived together, of one prompt and by one reward model. */
export interface ArrivedReferences {
  readonly runId: string;
  readonly promptId: string;
  readonly rewardModelVersion: string;
  /** Raw rewards in the order of their arrival; at least one. */
  readonly rewards: readonly number[];
}

/** What references make of a distribution. */
export interface ReferenceChange {
  readonly distribution: ReferenceDistribution;
  readonly events: readonly CalibrationEvent[];
}

/**
 * The distribution that results when references arrive, its version one higher. Where another reward model scored them, it
 * begins anew with them.
 *
 * Drift is looked for whenever the window has been replaced entirely: of W references, those from jW + 1 to (j + 1)W are
 * compared with the baseline, however many arrive at once. No reference is tested twice.
 */
export function withReferences(
  known: ReferenceDistribution | undefined,
  arrived: ArrivedReferences,
  settings: ReferenceSettings,
): ReferenceChange {
  const { runId, promptId, rewardModelVersion, rewards } = arrived;
  const current = known?.rewardModelVersion === rewardModelVersion ? known : undefined;
  const inOrder = [...arrivalOrder(current), ...rewards];
  const window = settings.window === undefined ? [] : inOrder.slice(-settings.window);
  const { baseline, drifts } = lookForDrift(current, inOrder, rewards.length, settings);
  const version = (known?.version ?? 0) + 1;
  const event = (what: { drift: CalibrationDrift } | { rewardModelChange: RewardModelChange }): CalibrationEvent => ({
    runId,
    promptId,
    calibrationVersion: version,
    ...what,
  });
  const events = drifts.map((drift) => event({ drift }));
  if (known && !current) {
    events.unshift(
      event({
        rewardModelChange: {
          before: known.rewardModelVersion,
          since: rewardModelVersion,
          dropped: known.references.length,
        },
      }),
    );
  }
  return {
    distribution: {
      runId,
      promptId,
      version,
      rewardModelVersion,
      references: sortedReferences(settings.window === undefined ? inOrder : window),
      window,
      seen: (current?.seen ?? 0) + rewards.length,
      baseline,
    },
    events,
  };
}

/** Of references that were kept without a window the order is not known: they count as having arrived in ascending order. */
function arrivalOrder(distribution: ReferenceDistribution | undefined): ArrayLike<number> & Iterable<number> {
  if (!distribution) return [];
  return distribution.window.length > 0 ? distribution.window : distribution.references;
}

function lookForDrift(
  current: ReferenceDistribution | undefined,
  inOrder: readonly number[],
  arrived: number,
  { window, driftFalseAlarmRate }: ReferenceSettings,
): { baseline: readonly number[]; drifts: CalibrationDrift[] } {
  if (window === undefined || driftFalseAlarmRate === undefined) return { baseline: [], drifts: [] };
  const seenBefore = current?.seen ?? 0;
  const drifts: CalibrationDrift[] = [];
  let baseline = current?.baseline ?? [];
  for (let count = 1; count <= arrived; count++) {
    const end = inOrder.length - arrived + count;
    // Fewer are there than the window holds only where it was smaller before.
    if ((seenBefore + count) % window !== 0 || end < window) continue;
    const replaced = Array.from(sortedReferences(inOrder.slice(end - window, end)));
    const drift = baseline.length === 0 ? undefined : driftBetween(baseline, replaced, driftFalseAlarmRate);
    if (drift) drifts.push(drift);
    if (drift || baseline.length === 0) baseline = replaced;
  }
  return { baseline, drifts };
}
