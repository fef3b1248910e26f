import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../workspace/workspace.mjs';
import { defaults } from './defaults.mjs';
import { judge, longestAllowed } from './system.mjs';

it('the defaults let nothing wait too long, and take fewer replicas than what would let it wait less', () => {
  const chosen = judge(defaults);
  expect(chosen.longest).toBeLessThanOrEqual(longestAllowed);
  const page = readFileSync(join(root, 'docs', 'scaling.md'), 'utf8').replace(/\s+/g, ' ');
  expect(page).toContain(
    `The longest wait is ${chosen.longest} s, at ${chosen.replicaHours.toFixed(1)} replica hours.`,
  );
  // Twice the lag for each replica is cheaper, and too slow where the scorer is.
  expect(judge({ ...defaults, secondsOfWork: 2 * defaults.secondsOfWork }).longest).toBeGreaterThan(longestAllowed);
  const others = [{ secondsOfWork: defaults.secondsOfWork / 2 }, { pollingSeconds: 30 }, { cooldownSeconds: 300 }];
  for (const other of others) {
    expect(judge({ ...defaults, ...other }).replicaHours).toBeGreaterThan(chosen.replicaHours);
  }
});
