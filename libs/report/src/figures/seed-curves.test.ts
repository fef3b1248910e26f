import { describe, expect, it } from 'vitest';
import { syntheticResults, withSeeds } from '../experiment-results.fixture.js';
import { seedCurves } from './seed-curves.js';
import type { ExperimentResults } from '../results.js';

const synthetic = syntheticResults();

/** One method, one procedure, and a frontier that is known by heart: 0.7 at 0.25 nats, 0.9 at 1, linear in √KL. */
function resultsOf(runs: readonly { seed: number; target: number; kl: number; winRate: number }[]): ExperimentResults {
  return {
    ...synthetic,
    procedures: ['standard'],
    frontiers: [
      {
        procedure: 'standard',
        points: [
          { kl: 0, win_rate: 0.5 },
          { kl: 0.25, win_rate: 0.7 },
          { kl: 1, win_rate: 0.9 },
        ],
      },
    ],
    runs: runs.map(({ seed, target, kl, winRate }) => {
      const interval = { mean: winRate, low: winRate, high: winRate, by_prompt: [] };
      const exact = { mean: kl, low: kl, high: kl };
      return {
        ...synthetic.runs[0]!,
        name: `${target} ${seed}`,
        seed,
        target_kl: target,
        kl: { ...synthetic.runs[0]!.kl, exact },
        win_rates: [{ procedure: 'standard', scorer: 'proxy', ...interval }],
      };
    }),
  };
}

describe('the curve of a method over its seeds', () => {
  it('brings seeds to their mean KL, each at its own efficiency', () => {
    const results = resultsOf([
      { seed: 1, target: 0.6, kl: 0.49, winRate: 0.5 + 0.9 * 0.28 },
      { seed: 2, target: 0.6, kl: 0.64, winRate: 0.5 + 0.7 * 0.32 },
      { seed: 3, target: 0.6, kl: 0.5575, winRate: 0.5 + 0.8 * 0.4 * Math.sqrt(0.5575) },
      { seed: 1, target: 0.25, kl: 0.25, winRate: 0.6 },
    ]);
    const [first, second, ...others] = seedCurves(results, 'standard', 'proxy');
    expect(others).toEqual([]);
    expect(first).toMatchObject({ method: 'ppo/identity', seeds: 1, kl: 0.25 });
    for (const value of [first!.win_rate, first!.lowest, first!.highest]) expect(value).toBeCloseTo(0.6, 12);
    expect(second!.kl).toBeCloseTo(0.5625, 12); // where the frontier is 0.8
    expect(second!.lowest).toBeCloseTo(0.5 + 0.7 * 0.3, 12);
    expect(second!.highest).toBeCloseTo(0.5 + 0.9 * 0.3, 12);
    expect(second!.win_rate).toBeCloseTo(0.5 + 0.8 * 0.3, 12);
  });

  it('leaves win rates as they are beyond the frontier that is known', () => {
    const runs = [
      { seed: 1, target: 3, kl: 2.5, winRate: 0.9 },
      { seed: 2, target: 3, kl: 3.5, winRate: 0.96 },
    ];
    const [point, ...others] = seedCurves(resultsOf(runs), 'standard', 'proxy');
    expect(others).toEqual([]);
    expect(point).toMatchObject({ kl: 3, lowest: 0.9, highest: 0.96 });
    expect(point!.win_rate).toBeCloseTo(0.93, 12);
  });

  it('is one curve a method, with a point for every strength', () => {
    const curves = seedCurves(withSeeds(synthetic, 3), 'won:4', 'judge');
    expect(curves).toHaveLength(9);
    expect(curves.every(({ seeds }) => seeds === 3)).toBe(true);
    const kls = curves.filter(({ method }) => method === 'ppo/exp:10').map(({ kl }) => kl);
    expect(kls).toEqual([...kls].sort((a, b) => a - b));
    expect(seedCurves(synthetic, 'won:5', 'judge')).toEqual([]);
  });
});
