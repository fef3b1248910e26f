import { mean } from '@infalign/core';
import { assessRun, frontierOf } from '../assessment.js';
import type { ExperimentResults, Scorer } from '../results.js';

/** Where a method's seeds are at one strength. */
export interface SeedPoint {
  readonly method: string;
  /** How many. */
  readonly seeds: number;
  /** Mean over the seeds, nats. */
  readonly kl: number;
  /** Mean over the seeds, the least and the largest of them, each at the mean KL. */
  readonly win_rate: number;
  readonly lowest: number;
  readonly highest: number;
}

/**
 * The curve of each method, in rising order of KL: one point for each KL or β that its runs asked for. Seeds end at KLs a little
 * apart; each is carried over to their mean KL at its own efficiency, so that what shows is how the seeds differ in win rate. Where
 * there is no frontier they stay as they are.
 */
export function seedCurves(results: ExperimentResults, procedure: string, scorer: Scorer): SeedPoint[] {
  const groups = new Map<string, ExperimentResults['runs']>();
  for (const run of results.runs) {
    const strength = run.target_kl === null ? `β ${run.beta.normalised}` : `KL ${run.target_kl}`;
    const key = `${run.method} ${strength}`;
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  const frontierAt = frontierOf(results, procedure);
  return [...groups.values()]
    .flatMap((runs): SeedPoint[] => {
      const measured = runs.flatMap((run) => {
        const own = assessRun(results, run).find((one) => one.procedure === procedure && one.scorer === scorer);
        return own === undefined ? [] : [{ kl: run.kl.exact.mean, ...own }];
      });
      if (measured.length === 0) return [];
      const kl = mean(measured.map((one) => one.kl));
      const frontier = frontierAt(Math.max(0, kl));
      const winRates = measured.map(({ winRate, efficiency }) =>
        frontier === undefined || efficiency === undefined ? winRate.mean : 0.5 + efficiency * (frontier - 0.5),
      );
      return [
        {
          method: runs[0]!.method,
          seeds: measured.length,
          kl,
          win_rate: mean(winRates),
          lowest: Math.min(...winRates),
          highest: Math.max(...winRates),
        },
      ];
    })
    .sort((a, b) => a.kl - b.kl);
}
