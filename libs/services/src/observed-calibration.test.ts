import { inMemoryTelemetry, silentTelemetry } from '@infalign/telemetry';
import { describe, expect, it } from 'vitest';
import { observedCalibration } from './observed-calibration.js';

describe('what calibration tells', () => {
  it('is nothing where nobody listens, and then nothing is computed', () => {
    expect(observedCalibration(silentTelemetry)).toBeUndefined();
  });

  it('is how far the reference policy is from uniform, over batches and by run', () => {
    const telemetry = inMemoryTelemetry();
    const tell = observedCalibration(telemetry)!;
    tell({ runId: 'r', policyVersion: 0, calibratedRewards: [0.25] });
    tell({ runId: 'r', policyVersion: 0, calibratedRewards: [0.5, 0.75] });
    tell({ runId: 'other', policyVersion: 0, calibratedRewards: [1, 1] });
    // Of one value at ¼, three quarters above it are missing; of three evenly spread ones a quarter at each end; of ones, all.
    expect(telemetry.values('infalign.calibration.error')).toEqual([
      { value: 0.75, attributes: { 'infalign.run.id': 'r' } },
      { value: 0.25, attributes: { 'infalign.run.id': 'r' } },
      { value: 1, attributes: { 'infalign.run.id': 'other' } },
    ]);
    expect(telemetry.values('infalign.win_rate')).toEqual([]);
    expect(telemetry.values('infalign.calibration.drifts').map(({ value }) => value)).toEqual([0, 0]);
    expect(telemetry.values('infalign.reward.calibrated')).toContainEqual({
      value: 0.75,
      attributes: { 'infalign.run.id': 'r', 'infalign.purpose': 'reference' },
    });
  });

  it('is the win rate of the latest policy that is evaluated, over its latest rollouts', () => {
    const telemetry = inMemoryTelemetry();
    const tell = observedCalibration(telemetry)!;
    tell({ runId: 'r', policyVersion: 3, calibratedRewards: [0, 0] });
    tell({ runId: 'r', policyVersion: 4, calibratedRewards: [1, 0.5] });
    tell({ runId: 'r', policyVersion: 4, calibratedRewards: [0] });
    // A late rollout of an earlier version changes nothing.
    tell({ runId: 'r', policyVersion: 3, calibratedRewards: [0] });
    tell({ runId: 'r', policyVersion: 4, calibratedRewards: Array.from({ length: 600 }, () => 0.75) });
    expect(telemetry.values('infalign.win_rate').map(({ value }) => value)).toEqual([0, 0.75, 0.5, 0.75]);
    expect(telemetry.values('infalign.calibration.error')).toEqual([]);
  });
});
