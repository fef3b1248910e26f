import { calibrationQuality } from '@infalign/core';
import type { MeasuredRollouts } from '@infalign/stage-calibration';
import type { Telemetry } from '@infalign/telemetry';

/** Calibrated rewards that the calibration error and the win rate are computed from, at most. */
const latest = 512;

/** The latest calibrated rewards of a run, by one policy. */
interface Seen {
  policyVersion: number;
  rewards: number[];
}

/**
 * Tells what the rollouts show that nothing is learned from: those of the reference policy how far calibration is off, those
 * of a later one how often it wins.
 */
export function observedCalibration(telemetry: Telemetry): ((measured: MeasuredRollouts) => void) | undefined {
  if (!telemetry.enabled) return undefined;
  const references = new Map<string, Seen>();
  const policies = new Map<string, Seen>();
  return ({ runId, policyVersion, calibratedRewards }) => {
    const isReference = policyVersion === 0;
    const run = { 'infalign.run.id': runId };
    const purpose = isReference ? 'reference' : 'evaluation';
    for (const reward of calibratedRewards) {
      telemetry.record('infalign.reward.calibrated', reward, { ...run, 'infalign.purpose': purpose });
    }
    const runs = isReference ? references : policies;
    let seen = runs.get(runId);
    if (!seen) {
      seen = { policyVersion, rewards: [] };
      // From here on, a drift is a change.
      if (isReference) telemetry.record('infalign.calibration.drifts', 0, run);
    }
    if (policyVersion < seen.policyVersion) return;
    const before = policyVersion === seen.policyVersion ? seen.rewards : [];
    const rewards = [...before, ...calibratedRewards].slice(-latest);
    runs.set(runId, { policyVersion, rewards });
    if (isReference) telemetry.record('infalign.calibration.error', calibrationQuality(rewards).kolmogorovSmirnov, run);
    else telemetry.record('infalign.win_rate', rewards.reduce((sum, reward) => sum + reward, 0) / rewards.length, run);
  };
}
