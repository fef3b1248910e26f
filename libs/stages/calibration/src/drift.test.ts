import { seededRandom, type RandomSource } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { driftBetween } from './drift.js';
import { withReferences, type ReferenceDistribution } from './reference-distribution.js';

/** Drifts that are found among so many windows of references, which arrive in batches of any size. */
function driftsFound(
  random: RandomSource,
  draw: (index: number) => number,
  { window, windows, rate }: { window: number; windows: number; rate: number },
): number {
  let distribution: ReferenceDistribution | undefined;
  let drifts = 0;
  for (let seen = 0; seen < window * windows;) {
    const size = Math.min(1 + random.integer(2 * window), window * windows - seen);
    const rewards = Array.from({ length: size }, (_, index) => draw(seen + index));
    const change = withReferences(
      distribution,
      { runId: 'run', promptId: 'a', rewardModelVersion: 'v1', rewards },
      { window, driftFalseAlarmRate: rate },
    );
    distribution = change.distribution;
    drifts += change.events.length;
    seen += size;
  }
  return drifts;
}

/** The share of tests that alarm, and its standard error: over independent prompts, since the tests of one are not. */
function alarmRate(
  seed: string,
  draw: (random: RandomSource, index: number) => number,
  settings: { window: number; windows: number; rate: number; prompts: number },
): { share: number; standardError: number } {
  const random = seededRandom('drift', seed);
  const tests = settings.windows - 1;
  const shares = Array.from(
    { length: settings.prompts },
    () => driftsFound(random, (index) => draw(random, index), settings) / tests,
  );
  const share = shares.reduce((sum, each) => sum + each, 0) / shares.length;
  const variance = shares.reduce((sum, each) => sum + (each - share) ** 2, 0) / (shares.length - 1);
  return { share, standardError: Math.sqrt(variance / shares.length) };
}

describe('the drift test', () => {
  it('alarms no more often than its rate where nothing changes, without and with ties, over many tests of a prompt', () => {
    const kinds = {
      continuous: (random: RandomSource) => random.normal(),
      tied: (random: RandomSource) => Math.round(2 * random.normal()),
    };
    for (const [kind, draw] of Object.entries(kinds)) {
      const rate = 0.05;
      const { share, standardError } = alarmRate(kind, draw, { window: 20, windows: 11, rate, prompts: 500 });
      expect(share).toBeLessThan(rate + 4 * standardError);
      // It does alarm: the bound is not met by doing nothing.
      expect(share).toBeGreaterThan(rate / 20);
    }
  });

  it('finds a shift by a standard deviation in windows of 100 at a rate of 0.001, and by three quarters mostly', () => {
    const power = (shift: number) => {
      const shifted = (random: RandomSource, index: number) => random.normal() + (index < 100 ? 0 : shift);
      return alarmRate(`shift ${shift}`, shifted, { window: 100, windows: 2, rate: 0.001, prompts: 400 }).share;
    };
    expect(power(1)).toBeGreaterThan(0.98);
    expect(power(0.75)).toBeGreaterThan(0.78);
  });

  it('finds a slow drift, since the baseline stays until it is found', () => {
    // A tenth of a standard deviation from one window to the next.
    const slow = (random: RandomSource, index: number) => random.normal() + 0.1 * Math.floor(index / 50);
    const found = alarmRate('slow', slow, { window: 50, windows: 11, rate: 0.01, prompts: 200 }).share * 10;
    expect(found).toBeGreaterThan(0.8);
  });

  it('gives the distance, its probability and the sizes', () => {
    const drift = driftBetween([1, 2, 3, 4], [5, 6, 7, 8, 9], 0.02);
    expect(drift).toMatchObject({ distance: 1, before: 4, since: 5 });
    expect(drift!.pValue).toBeCloseTo(2 / 126, 14);
    expect(driftBetween([1, 2, 3, 4], [5, 6, 7, 8], 0.02)).toBeUndefined();
  });
});
