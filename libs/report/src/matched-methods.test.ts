import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { curveAt } from './assessment.js';
import { syntheticResults } from './experiment-results.fixture.js';
import { matchMethods } from './matched-methods.js';
import type { ExperimentResults, RunResults, Scorer } from './results.js';

const synthetic = syntheticResults();
const prompts = synthetic.dataset.evaluation_prompts;
const frontier = (kl: number): number => curveAt(synthetic.frontiers[1]!.points, kl)!;

/** A run that is the same on every prompt, under best of 4. */
function run(method: string, seed: number, kl: number, efficiency: Record<Scorer, number>): RunResults {
  const gain = frontier(kl) - 0.5;
  return {
    ...synthetic.runs[0]!,
    name: `runs/${method}-${kl}-${seed}`,
    method,
    seed,
    target_kl: 0.6,
    kl: {
      ...synthetic.runs[0]!.kl,
      exact: { mean: kl, low: kl, high: kl },
      by_prompt: new Array<number>(prompts).fill(kl),
    },
    win_rates: (['proxy', 'judge'] as const).map((scorer) => {
      const mean = 0.5 + gain * efficiency[scorer];
      return {
        procedure: 'bon:4',
        scorer,
        mean,
        low: mean,
        high: mean,
        by_prompt: new Array<number>(prompts).fill(mean),
      };
    }),
  };
}

const results: ExperimentResults = {
  ...synthetic,
  runs: [
    run('dpo', 1, 0.5, { proxy: 0.6, judge: 0.5 }),
    run('dpo', 2, 0.7, { proxy: 0.8, judge: 0.6 }),
    run('dpo', 3, 1.5, { proxy: 0.1, judge: 0.1 }),
    run('ppo/exp:10', 1, 0.66, { proxy: 0.9, judge: 0.65 }),
    run('ppo/raw', 1, 0.3, { proxy: 0.5, judge: 0.5 }),
  ],
  best_of_n: [],
};

describe('methods of an experiment at the same KL', () => {
  it('are compared at the KLs that were asked for, by proxy and judge, over the seeds that came near', () => {
    const { methods, comparisons } = matchMethods(results);
    const [dpo, ppo, raw] = methods.filter(({ procedure }) => procedure === 'bon:4');
    const gain = frontier(0.6) - 0.5;
    expect(dpo).toMatchObject({ task: 'synthetic', kl: 0.6, method: 'dpo', seeds: 2 });
    expect(dpo!.frontier).toBeCloseTo(0.5 + gain, 12);
    expect(dpo!.efficiency).toBeCloseTo(0.7, 12);
    expect(dpo!.win_rate).toBeCloseTo(0.5 + 0.7 * gain, 12);
    expect(dpo!.judge_win_rate).toBeCloseTo(0.5 + 0.55 * gain, 12);
    expect(dpo!.ci_low).toBeLessThan(0.5 + 0.65 * gain);
    expect(ppo!.judge_efficiency).toBeCloseTo(0.65, 12);
    expect([ppo!.note, dpo!.note]).toEqual([
      null,
      '1 of 3 seeds have no run within 25 % of this KL, nor runs on both sides of it',
    ]);
    expect(raw).toMatchObject({ seeds: 0, win_rate: null, ci_low: null, efficiency: null, judge_win_rate: null });
    expect(raw!.note).toMatch(/no run within 25 %.*: the nearest has 0\.300 nats/);

    expect(comparisons).toHaveLength(1);
    expect(comparisons[0]).toMatchObject({ procedure: 'bon:4', kl: 0.6, method: 'dpo', baseline: 'ppo/exp:10' });
    expect(comparisons[0]!.difference).toBeCloseTo(-0.2 * gain, 12);
    expect(comparisons[0]!.judge_difference).toBeCloseTo(-0.1 * gain, 12);
  });

  it('are compared with a baseline the right way round', () => {
    const all = matchMethods(synthetic, { kls: [0.6] });
    const against = matchMethods(synthetic, { kls: [0.6], baseline: 'ppo/exp:10' });
    expect(against.methods).toEqual(all.methods);
    expect(all.comparisons).toHaveLength(3 * ((4 * 3) / 2));
    expect(against.comparisons).toHaveLength(3 * 3);
    for (const row of against.comparisons) {
      expect(row.baseline).toBe('ppo/exp:10');
      const of = (method: string) =>
        against.methods.find((one) => one.method === method && one.procedure === row.procedure)!;
      expect(row.difference).toBeCloseTo(of(row.method).win_rate! - of('ppo/exp:10').win_rate!, 12);
      expect(row.judge_difference).toBeCloseTo(of(row.method).judge_win_rate! - of('ppo/exp:10').judge_win_rate!, 12);
      expect(row.ci_low).toBeLessThan(row.difference);
      expect(row.ci_high).toBeGreaterThan(row.difference);
      expect(row.judge_ci_low).toBeLessThan(row.judge_difference!);
      expect(row.judge_ci_high).toBeGreaterThan(row.judge_difference!);
    }
  });

  it('stand beside what the optima of their rewards reach, where these are known', () => {
    const curve = (procedure: string, method: string, slope: number) => {
      // Between points a curve is linear in √KL.
      return { procedure, method, points: [0, 1].map((kl) => ({ kl, win_rate: 0.5 + slope * kl })) };
    };
    const curves = [curve('bon:4', 'dpo', 0.1), curve('won:4', 'dpo', 0.3), curve('bon:4', 'ppo/exp:10', 0.2)];
    const { methods, comparisons } = matchMethods({ ...results, method_curves: curves }, { baseline: 'dpo' });
    const optima = methods.filter(({ procedure }) => procedure === 'bon:4').map(({ optimum }) => optimum);
    expect(optima[0]).toBeCloseTo(0.5 + 0.1 * Math.sqrt(0.6), 12);
    expect(optima[1]).toBeCloseTo(0.5 + 0.2 * Math.sqrt(0.6), 12);
    expect(optima[2]).toBeNull();
    expect(comparisons[0]).toMatchObject({ method: 'ppo/exp:10', baseline: 'dpo' });
    expect(comparisons[0]!.optimum_difference).toBeCloseTo(0.1 * Math.sqrt(0.6), 12);
    const unknown = matchMethods({ ...results, method_curves: curves.slice(0, 2) });
    expect(unknown.comparisons.map(({ optimum_difference }) => optimum_difference)).toEqual([null]);
  });

  it('include the base policy under best of n, whose KL is exact', () => {
    const [two] = synthetic.best_of_n;
    const { methods } = matchMethods(synthetic, { kls: [two!.kl] });
    const row = methods.find(({ method, procedure }) => method === 'best-of-n' && procedure === 'won:4')!;
    const measured = two!.win_rates.find(({ procedure, scorer }) => procedure === 'won:4' && scorer === 'proxy')!;
    expect(row.win_rate).toBeCloseTo(measured.mean, 12);
    expect(row.seeds).toBe(1);
  });

  it('have no value beyond the frontier that is known, and say so', () => {
    const [row] = matchMethods(results, { kls: [5] }).methods;
    expect(row).toMatchObject({ frontier: null, win_rate: null, note: 'the frontier was not computed up to this KL' });
  });

  it('are not compared where no KL was asked for, unless one is given', () => {
    const byBeta = { ...results, runs: results.runs.map((one) => ({ ...one, target_kl: null })) };
    expect(matchMethods(byBeta)).toEqual({ methods: [], comparisons: [] });
    expect(matchMethods(byBeta, { kls: [0.6] }).methods).toEqual(matchMethods(results).methods);
  });

  it('cannot be compared with a method that is not there, nor at no KL', () => {
    const compare = (options: { kls?: number[]; baseline?: string }) => () => matchMethods(results, options);
    expect(compare({ baseline: 'ipo' })).toThrow(InputError);
    expect(compare({ baseline: 'ipo' })).toThrow(/no method ipo.*dpo, ppo\/exp:10 and ppo\/raw/);
    expect(compare({ kls: [0] })).toThrow(/above 0/);
  });
});
