import { expect, it } from 'vitest';
import { networkFaults, planKills } from './disturbance-plan.mjs';
import { serviceTitles } from './settings.mjs';

const timesKilled = (title, kills) => planKills(1, kills).services.filter((kill) => kill.title === title).length;

it('kills every service as often as the others, and brokers for a quarter', () => {
  expect(planKills(1, 20).brokers).toHaveLength(5);
  for (const title of serviceTitles) expect(timesKilled(title, 20)).toBe(3);
  for (const title of serviceTitles) expect(timesKilled(title, 7)).toBe(1);
  expect(planKills(1, 7).brokers).toHaveLength(2);
});

it('has as many kills as are asked for, all of them within the run', () => {
  for (const kills of [1, 2, 3, 7, 20, 33]) {
    const { services, brokers } = planKills(kills, kills);
    expect(services.length + brokers.length).toBe(kills);
    for (const { at } of [...services, ...brokers]) {
      expect(at).toBeGreaterThanOrEqual(0);
      expect(at).toBeLessThan(0.95);
    }
  }
});

it('is the same for a seed, and another for another one', () => {
  expect(planKills(5, 20)).toEqual(planKills(5, 20));
  expect(planKills(6, 20)).not.toEqual(planKills(5, 20));
  const first = (seed) => {
    const faults = networkFaults(seed, 3);
    return Array.from({ length: 20 }, () => faults.next().value);
  };
  expect(first(5)).toEqual(first(5));
  expect(first(6)).not.toEqual(first(5));
});
