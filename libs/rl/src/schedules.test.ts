import { describe, expect, it } from 'vitest';
import { linearSchedule } from './schedules.js';

describe('linearSchedule', () => {
  it('warms up, then decays, as worked by hand', () => {
    const settings = { peak: 8, final: 0, warmupSteps: 2, totalSteps: 6 };
    expect([0, 1, 2, 3, 4, 5, 6, 100].map((step) => linearSchedule(step, settings))).toEqual([4, 8, 8, 6, 4, 2, 0, 0]);
  });

  it('stays at its peak where that is its end', () => {
    const settings = { peak: 3, final: 3, warmupSteps: 0, totalSteps: 4 };
    expect([0, 3, 9].map((step) => linearSchedule(step, settings))).toEqual([3, 3, 3]);
  });

  it('refuses a warm-up as long as the whole', () => {
    expect(() => linearSchedule(0, { peak: 1, final: 0, warmupSteps: 3, totalSteps: 3 })).toThrow(/warmupSteps/);
  });
});
