import { assessRun, type MeasuredRun } from './assessment.js';
import type { ExperimentResults } from './results.js';

/** The method of rows that tell of the base policy with the best of n of its samples as its answer. */
export const BEST_OF_N = 'best-of-n';

/** One policy under one procedure. Keys are in snake case, as they are printed. */
export interface ResultRow {
  /** Name of the experiment. */
  readonly task: string;
  /** As the experiment file writes it, or `best-of-n`. */
  readonly method: string;
  /** Of `best-of-n`; null elsewhere. */
  readonly n: number | null;
  /** Null of `best-of-n`, which is not trained. */
  readonly seed: number | null;
  /** The KL asked for, in nats; null where a β was given, or nothing trained. */
  readonly target_kl: number | null;
  /** KL strength at the last iteration, on the normalised scale; null where nothing was trained. */
  readonly beta: number | null;
  readonly procedure: string;
  /** The exact one, nats a response. */
  readonly kl: number;
  /** By the proxy, as `ci_low` and `ci_high`, the ends of its 95 % interval over prompts. */
  readonly win_rate: number;
  readonly ci_low: number;
  readonly ci_high: number;
  /** The best win rate that any policy can have at this KL; null where it was not computed. */
  readonly frontier: number | null;
  /** (win_rate − ½)/(frontier − ½); null where there is no frontier. */
  readonly efficiency: number | null;
  /** Null where the judge did not measure. */
  readonly judge_win_rate: number | null;
  readonly judge_ci_low: number | null;
  readonly judge_ci_high: number | null;
}

/** Every policy under every procedure that the proxy measured: runs in their order, then the base policy under best-of-n. */
export function resultRows(results: ExperimentResults): ResultRow[] {
  const rows = (
    policy: Pick<ResultRow, 'method' | 'n' | 'seed' | 'target_kl' | 'beta'>,
    measured: MeasuredRun,
  ): ResultRow[] => {
    const assessments = assessRun(results, measured);
    return assessments.flatMap(({ procedure, scorer, winRate, frontier, efficiency }) => {
      if (scorer !== 'proxy') return [];
      const judge = assessments.find((one) => one.procedure === procedure && one.scorer === 'judge')?.winRate;
      return [
        {
          task: results.name,
          ...policy,
          procedure,
          kl: measured.kl.exact.mean,
          win_rate: winRate.mean,
          ci_low: winRate.low,
          ci_high: winRate.high,
          frontier: frontier ?? null,
          efficiency: efficiency ?? null,
          judge_win_rate: judge?.mean ?? null,
          judge_ci_low: judge?.low ?? null,
          judge_ci_high: judge?.high ?? null,
        },
      ];
    });
  };
  return [
    ...results.runs.flatMap((run) => {
      const { method, seed, target_kl, beta } = run;
      return rows({ method, n: null, seed, target_kl, beta: beta.normalised }, run);
    }),
    ...results.best_of_n.flatMap(({ n, kl, win_rates }) =>
      rows(
        { method: BEST_OF_N, n, seed: null, target_kl: null, beta: null },
        { kl: { exact: { mean: kl, high: kl } }, win_rates },
      ),
    ),
  ];
}
