import { describe, expect, it } from 'vitest';
import { assessRun } from './assessment.js';
import { syntheticResults } from './experiment-results.fixture.js';
import { resultRows } from './result-rows.js';

const results = syntheticResults();
const rows = resultRows(results);

describe('the rows of an experiment', () => {
  it('are one for every run and procedure, with what was measured and the exact limit', () => {
    const run = results.runs[4]!;
    const own = rows.filter((row) => row.method === run.method && row.target_kl === run.target_kl);
    expect(own.map(({ procedure }) => procedure)).toEqual(results.procedures);
    const winRate = (scorer: string) =>
      run.win_rates.find((one) => one.procedure === 'bon:4' && one.scorer === scorer)!;
    const { frontier, efficiency } = assessRun(results, run).find((one) => one.procedure === 'bon:4')!;
    expect(own[1]).toEqual({
      task: 'synthetic',
      method: 'ppo/exp:10',
      n: null,
      seed: 1,
      target_kl: 0.6,
      beta: run.beta.normalised,
      procedure: 'bon:4',
      kl: run.kl.exact.mean,
      win_rate: winRate('proxy').mean,
      ci_low: winRate('proxy').low,
      ci_high: winRate('proxy').high,
      frontier,
      efficiency,
      judge_win_rate: winRate('judge').mean,
      judge_ci_low: winRate('judge').low,
      judge_ci_high: winRate('judge').high,
    });
    expect(rows).toHaveLength((results.runs.length + results.best_of_n.length) * results.procedures.length);
  });

  it('end with the base policy under best of n', () => {
    const row = rows.at(-3)!;
    expect(row).toMatchObject({
      method: 'best-of-n',
      n: 4,
      seed: null,
      target_kl: null,
      beta: null,
      procedure: 'standard',
    });
    expect(row.kl).toBeCloseTo(Math.log(4) - 3 / 4, 12);
    expect(row.win_rate).toBeCloseTo(4 / 5, 12);
    expect(row.efficiency).toBeCloseTo((row.win_rate - 0.5) / (row.frontier! - 0.5), 12);
  });

  it('have null where there is no frontier and no judge', () => {
    const [run] = results.runs;
    const winRates = run!.win_rates.filter(({ scorer }) => scorer === 'proxy');
    const bare = resultRows({ ...results, frontiers: [], runs: [{ ...run!, win_rates: winRates }], best_of_n: [] });
    expect(bare).toHaveLength(3);
    expect(bare[0]).toMatchObject({ frontier: null, efficiency: null, judge_win_rate: null, judge_ci_low: null });
  });
});
