import { expect, it } from 'vitest';
import { defaults } from './defaults.mjs';
import { choices, judgeAll, longestAllowed } from './system.mjs';

it('the defaults let nothing wait too long, and take the fewest replicas of all settings that do not', () => {
  const [best, ...others] = judgeAll();
  expect(best.settings).toEqual(defaults);
  expect(best.longest).toBeLessThanOrEqual(longestAllowed);
  expect(others).toHaveLength(
    choices.secondsOfWork.length * choices.pollingSeconds.length * choices.cooldownSeconds.length - 1,
  );
  for (const { longest, replicaHours } of others) {
    if (longest <= longestAllowed) expect(replicaHours).toBeGreaterThanOrEqual(best.replicaHours);
  }
});
