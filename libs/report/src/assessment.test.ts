import { describe, expect, it } from 'vitest';
import { assessRun, curveAt, pointsAboveFrontier } from './assessment.js';
import { syntheticResults } from './experiment-results.fixture.js';
import type { ExperimentResults } from './results.js';

const synthetic = syntheticResults();
const points = [
  { kl: 0, win_rate: 0.5 },
  { kl: 0.25, win_rate: 0.7 },
  { kl: 1, win_rate: 0.9 },
];

/** One run, one procedure, and a frontier that is known by heart. */
function resultsWith(
  winRate: { mean: number; low: number; high: number },
  kl: { mean: number; low: number; high: number },
): ExperimentResults {
  const run = synthetic.runs[0]!;
  return {
    ...synthetic,
    procedures: ['standard'],
    frontiers: [{ procedure: 'standard', points }],
    method_curves: [],
    runs: [
      {
        ...run,
        kl: { ...run.kl, exact: kl },
        win_rates: [{ procedure: 'standard', scorer: 'proxy', ...winRate, by_prompt: [] }],
      },
    ],
  };
}

describe('an exact curve', () => {
  it('is read between its points in the square root of KL', () => {
    expect(curveAt(points, 0)).toBe(0.5);
    expect(curveAt(points, 0.25)).toBe(0.7);
    expect(curveAt(points, 0.0625)).toBeCloseTo(0.6, 12); // √KL halfway from 0 to ½
    expect(curveAt(points, 0.5625)).toBeCloseTo(0.8, 12); // √KL halfway from ½ to 1
  });

  it('says nothing beyond its ends', () => {
    expect(curveAt(points, 1.01)).toBeUndefined();
    expect(curveAt(points.slice(1), 0.1)).toBeUndefined();
    expect(curveAt([], 0.1)).toBeUndefined();
  });
});

describe('a measured win rate', () => {
  it('is set beside the frontier at its KL', () => {
    const results = resultsWith({ mean: 0.65, low: 0.63, high: 0.67 }, { mean: 0.5625, low: 0.5, high: 0.6 });
    const [assessment] = assessRun(results, results.runs[0]!);
    expect(assessment!.frontier).toBeCloseTo(0.8, 12);
    expect(assessment!.efficiency).toBeCloseTo(0.5, 12);
    expect(pointsAboveFrontier(results)).toEqual([]);
  });

  it('may exceed the frontier within the interval of either axis', () => {
    const kl = { mean: 0.25, low: 0.2, high: 0.3025 }; // the frontier at its upper end is .72
    expect(pointsAboveFrontier(resultsWith({ mean: 0.74, low: 0.69, high: 0.79 }, kl))).toEqual([]);
    expect(pointsAboveFrontier(resultsWith({ mean: 0.74, low: 0.715, high: 0.79 }, kl))).toEqual([]);
  });

  it('is flagged above the frontier beyond both intervals', () => {
    const results = resultsWith({ mean: 0.75, low: 0.725, high: 0.79 }, { mean: 0.25, low: 0.2, high: 0.3025 });
    expect(pointsAboveFrontier(results)).toMatchObject([
      { run: synthetic.runs[0]!.name, procedure: 'standard', scorer: 'proxy', aboveFrontier: true },
    ]);
  });

  it('has neither frontier nor efficiency where the frontier does not reach', () => {
    const results = resultsWith({ mean: 0.99, low: 0.98, high: 1 }, { mean: 3, low: 2.9, high: 3.1 });
    expect(assessRun(results, results.runs[0]!)).toMatchObject([
      { frontier: undefined, efficiency: undefined, aboveFrontier: false },
    ]);
  });
});
