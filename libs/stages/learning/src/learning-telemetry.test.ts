import { inMemoryTelemetry, withinSpan } from '@infalign/telemetry';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { learningTelemetry } from './learning-telemetry.js';

const run = { 'infalign.run.id': 'r' };
const trace = (digit: number, flags = '01') => `00-${String(digit).repeat(32)}-${'b'.repeat(16)}-${flags}`;

describe('what a learner tells', () => {
  it('is a span of an iteration in each trace that is kept, linked to the first, in which its steps are', async () => {
    const telemetry = inMemoryTelemetry();
    const told = learningTelemetry(telemetry, 'r', 0.5);
    await told.iteration([trace(1), trace(2, '00'), trace(3)], async () => {
      told.optimised(() => 1);
      await told.published(() => Promise.resolve());
    });
    const [first, second, optimise, publish] = telemetry.spans;
    expect(telemetry.spans.map(({ name, parent }) => [name, parent])).toEqual([
      ['learn iteration', trace(1)],
      ['learn iteration', trace(3)],
      ['optimise', first!.traceparent],
      ['publish checkpoint', first!.traceparent],
    ]);
    expect(first!.links).toEqual([]);
    expect(second!.links).toEqual([first!.traceparent]);
    expect([optimise, publish].map((span) => span!.traceId)).toEqual(['1'.repeat(32), '1'.repeat(32)]);
    expect(telemetry.spans.every(({ ended, failure }) => ended && failure === '')).toBe(true);
  });

  it('has no spans where no trace is kept, and says of one that failed that it did', async () => {
    const telemetry = inMemoryTelemetry();
    const told = learningTelemetry(telemetry, 'r', 0.5);
    await told.iteration([], async () => {
      told.optimised(() => 1);
      await told.published(() => Promise.resolve());
    });
    expect(telemetry.spans).toEqual([]);
    await expect(told.iteration([trace(1)], () => Promise.reject(new TypeError('no')))).rejects.toThrow('no');
    expect(telemetry.spans).toMatchObject([{ failure: 'TypeError', ended: true }]);
    withinSpan(undefined, () => told.close());
  });

  it('is how long it has waited, also while it waits, without the time of iterations, until it ends', async () => {
    const telemetry = inMemoryTelemetry();
    const told = learningTelemetry(telemetry, 'r', 0.5);
    const waited = async (): Promise<number> => (await telemetry.observed('infalign.learner.waiting.time'))[0]!.value;
    await sleep(50);
    const before = await waited();
    expect(before).toBeGreaterThan(0.04);
    let within = 0;
    await told.iteration([], async () => {
      within = await waited();
      await sleep(300);
      expect(await waited()).toBe(within);
    });
    expect(within).toBeGreaterThanOrEqual(before);
    const after = await waited();
    expect(after).toBeGreaterThanOrEqual(within);
    told.close();
    expect(await telemetry.observed('infalign.learner.waiting.time')).toEqual([]);
  });

  it('is what the statistics of an iteration say', () => {
    const telemetry = inMemoryTelemetry();
    const told = learningTelemetry(telemetry, 'r', 0.5);
    const names = [
      'rollouts',
      'meanReward',
      'meanCalibratedReward',
      'meanTransformedReward',
      'kl',
      'beta',
      'clipFraction',
      'policyLoss',
      'valueLoss',
      'gradientNorm',
      'responseTokens',
      'staleness',
      'dropped',
    ] as const;
    const statistics = Object.fromEntries(names.map((name, index) => [name, index + 10])) as Record<
      (typeof names)[number],
      number
    >;
    told.learned(9, { iteration: 7, ...statistics }, []);
    const value = (name: Parameters<typeof telemetry.values>[0]) => telemetry.values(name)[0];
    expect(value('infalign.learner.kl')).toEqual({ value: 14, attributes: run });
    expect(value('infalign.learner.kl.target')).toEqual({ value: 0.5, attributes: run });
    expect(value('infalign.learner.reward.raw')!.value).toBe(11);
    expect(value('infalign.learner.reward.calibrated')!.value).toBe(12);
    expect(value('infalign.learner.reward.transformed')!.value).toBe(13);
    expect(value('infalign.learner.beta')!.value).toBe(15);
    expect(value('infalign.learner.clip_fraction')!.value).toBe(16);
    expect(value('infalign.learner.policy_loss')!.value).toBe(17);
    expect(value('infalign.learner.value_loss')!.value).toBe(18);
    expect(value('infalign.learner.gradient_norm')!.value).toBe(19);
    expect(value('infalign.learner.staleness')!.value).toBe(21);
    expect(value('infalign.learner.rollouts.dropped')!.value).toBe(22);
    expect(value('infalign.policy.version')!.value).toBe(9);
  });
});
