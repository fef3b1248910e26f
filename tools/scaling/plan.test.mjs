import { describe, expect, it } from 'vitest';
import {
  distributionSeconds,
  largestShare,
  learners,
  planFor,
  ratePerSampler,
  ratePerSamplerWithRebalances,
  recordBytes,
  samplers,
  secondsBetweenRebalances,
  waitingAfterHalfAnHour,
} from './plan.mjs';

describe('the plan', () => {
  it('counts on records that are as long as fields make them', async () => {
    const [short, long] = await Promise.all([256, 512].map((response) => recordBytes({ prompt: 128, response })));
    // 256 tokens more: a float of four bytes and a varint of one to three each.
    expect(long.sampled - short.sampled).toBeGreaterThan(256 * 5);
    expect(long.sampled - short.sampled).toBeLessThan(256 * 7 + 8);
    expect(long.scored - long.sampled).toBe(short.scored - short.sampled);
  });

  it('has brokers for what is written, copied and read', async () => {
    const { writtenBytesPerSecond, bytes, brokers } = await planFor({ prompt: 128, response: 256 });
    expect(writtenBytesPerSecond).toBe((bytes.sampled + bytes.scored + bytes.calibrated) * 100_000);
    // Of each byte, one comes in, two go to followers, one to consumers: four at 400 MB a second for a broker.
    expect((brokers - 1) * 400e6).toBeLessThan(4 * writtenBytesPerSecond);
    expect(brokers * 400e6).toBeGreaterThanOrEqual(4 * writtenBytesPerSecond);
  });

  it('has samplers that make up for rebalances: they keep up in the simulation, and no slower ones do', () => {
    expect(ratePerSampler).toBe(100);
    expect(secondsBetweenRebalances).toBeCloseTo(21.6, 9);
    expect(ratePerSamplerWithRebalances).toBeCloseTo(110.2, 1);
    // A step of a second rounds the pauses up: three per cent more or less.
    const kept = waitingAfterHalfAnHour({ rate: ratePerSamplerWithRebalances * 1.03, partitions: samplers });
    const lost = waitingAfterHalfAnHour({ rate: ratePerSamplerWithRebalances * 0.97, partitions: samplers });
    expect(kept).toBeLessThan(5 * 100_000);
    expect(lost).toBeGreaterThan(0.02 * 1800 * 100_000);
  });

  it('has as many partitions as samplers, or many more: else some samplers get twice what others do', () => {
    expect(largestShare(1000, 1000)).toBe(100);
    expect(largestShare(1200, 1000)).toBeCloseTo(166.7, 1);
    expect(largestShare(10_000, 999)).toBe(110);
    const rate = ratePerSamplerWithRebalances * 1.1;
    expect(waitingAfterHalfAnHour({ rate, partitions: 1000 })).toBeLessThan(5 * 100_000);
    // 200 samplers have two of 1,200 partitions, and fall behind by some 50 a second each.
    expect(waitingAfterHalfAnHour({ rate, partitions: 1200 })).toBeGreaterThan(200 * 50 * 1800 * 0.9);
  });

  it('brings policies to samplers as fast as the store gives them, or a pod takes them', () => {
    expect(distributionSeconds(540e6, 10e9)).toBe(54);
    expect(distributionSeconds(540e6, 1e12)).toBe(4.32);
  });

  it('breaks first where a run is learned: learners for all samplers are more than samplers', () => {
    expect(learners).toBeGreaterThan(samplers);
  });
});
