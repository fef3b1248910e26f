import { compareAtKls, InputError, MATCHED_KL_REACH, type MatchedMethods, type MeasuredPolicy } from '@infalign/core';
import { curveAt, frontierOf } from './assessment.js';
import { BEST_OF_N } from './result-rows.js';
import type { ExperimentResults, Scorer, WinRateResult } from './results.js';
import { listed } from './wording.js';

/** What a method reaches at a KL under a procedure: the mean over its seeds. Keys are in snake case, as they are printed. */
export interface MethodRow {
  /** Name of the experiment. */
  readonly task: string;
  readonly procedure: string;
  /** Nats a response: the same for all methods. */
  readonly kl: number;
  /** The best win rate there is at this KL; null where it was not computed. */
  readonly frontier: number | null;
  readonly method: string;
  /**
   * What the policy reaches here that is exactly optimal for the method's reward; null where it is not known. Under a procedure that
   * the reward is not made for, a policy that is not optimal can reach more.
   */
  readonly optimum: number | null;
  /** How many of its seeds have a value here. */
  readonly seeds: number;
  /** By the proxy, as all up to `efficiency_high`; null where no run came near. `ci_…` are the ends of 95 % intervals. */
  readonly win_rate: number | null;
  readonly ci_low: number | null;
  readonly ci_high: number | null;
  readonly efficiency: number | null;
  readonly efficiency_low: number | null;
  readonly efficiency_high: number | null;
  readonly judge_win_rate: number | null;
  readonly judge_ci_low: number | null;
  readonly judge_ci_high: number | null;
  readonly judge_efficiency: number | null;
  /** Why there is no value, or not one of every seed; null where there is. */
  readonly note: string | null;
}

/** How far one method is ahead of another at the same KL under a procedure. Keys are in snake case, as they are printed. */
export interface ComparisonRow {
  /** Name of the experiment. */
  readonly task: string;
  readonly procedure: string;
  /** Nats a response. */
  readonly kl: number;
  readonly method: string;
  /** What it is compared with. */
  readonly baseline: string;
  /** Win rate of the method less that of the baseline, by the proxy, with the ends of its 95 % interval. */
  readonly difference: number;
  readonly ci_low: number;
  readonly ci_high: number;
  /** The same of the optima of both; null where one is not known. */
  readonly optimum_difference: number | null;
  /** The same by the judge; null where the judge did not measure. */
  readonly judge_difference: number | null;
  readonly judge_ci_low: number | null;
  readonly judge_ci_high: number | null;
}

/** Methods at the same KL. */
export interface MatchedResults {
  /** By procedure, KL and method, in the order of the results. */
  readonly methods: readonly MethodRow[];
  /** Of every pair of methods that have a value there, once; or of each with the baseline. */
  readonly comparisons: readonly ComparisonRow[];
}

/**
 * Compares the methods of an experiment at the same KL: see `compareAtKls`. The base policy under best-of-n is one of them.
 *
 * @param options.kls nats; the target KLs of the runs if not given
 * @param options.baseline the method that all others are compared with; every pair is compared if not given
 * @throws InputError if the baseline is none of the methods, or a KL is not above 0
 */
export function matchMethods(
  results: ExperimentResults,
  options: { readonly kls?: readonly number[]; readonly baseline?: string } = {},
): MatchedResults {
  const { kls = targetKls(results), baseline } = options;
  const policies = policiesOf(results);
  const names = [...new Set(policies.map(({ method }) => method))];
  if (baseline !== undefined && !names.includes(baseline)) {
    throw new InputError(`${results.name} has no method ${baseline} to compare with: it has ${listed(names)}`);
  }
  const matched = results.procedures.flatMap((procedure) => {
    const by = (scorer: Scorer): readonly MatchedMethods[] => {
      const measured = policies.flatMap((policy): MeasuredPolicy[] => {
        const winRate = winRateOf(policy, procedure, scorer);
        return winRate === undefined ? [] : [{ ...policy, winRates: winRate.by_prompt }];
      });
      if (measured.length === 0 || kls.length === 0) return [];
      return compareAtKls(measured, frontierOf(results, procedure), kls, { seed: `${results.name}/${results.seed}` });
    };
    const judged = by('judge');
    return by('proxy').map((proxy, place) => ({ procedure, proxy, judge: judged[place] }));
  });
  return {
    methods: matched.flatMap(({ procedure, proxy, judge }) =>
      proxy.methods.map(({ method, seeds, winRate, efficiency }) => {
        const other = judge?.methods.find((one) => one.method === method);
        return {
          task: results.name,
          procedure,
          kl: proxy.kl,
          frontier: proxy.frontier ?? null,
          method,
          optimum: optimumAt(results, procedure, method, proxy.kl),
          seeds,
          win_rate: winRate?.mean ?? null,
          ci_low: winRate?.low ?? null,
          ci_high: winRate?.high ?? null,
          efficiency: efficiency?.mean ?? null,
          efficiency_low: efficiency?.low ?? null,
          efficiency_high: efficiency?.high ?? null,
          judge_win_rate: other?.winRate?.mean ?? null,
          judge_ci_low: other?.winRate?.low ?? null,
          judge_ci_high: other?.winRate?.high ?? null,
          judge_efficiency: other?.efficiency?.mean ?? null,
          note: noteOn(
            policies.filter(
              (policy) => policy.method === method && winRateOf(policy, procedure, 'proxy') !== undefined,
            ),
            seeds,
            proxy,
          ),
        };
      }),
    ),
    comparisons: matched.flatMap(({ procedure, proxy, judge }) =>
      proxy.differences.flatMap(({ first, second, difference }) => {
        if (baseline !== undefined && first !== baseline && second !== baseline) return [];
        const judged = judge?.differences.find((one) => one.first === first && one.second === second)?.difference;
        const turned = first === baseline;
        const [low, high] = turned ? (['high', 'low'] as const) : (['low', 'high'] as const);
        const signed = (value: number | undefined): number | null =>
          value === undefined ? null : turned ? -value : value;
        const optima = [first, second].map((method) => optimumAt(results, procedure, method, proxy.kl));
        return [
          {
            task: results.name,
            procedure,
            kl: proxy.kl,
            method: turned ? second : first,
            baseline: turned ? first : second,
            difference: signed(difference.mean)!,
            ci_low: signed(difference[low])!,
            ci_high: signed(difference[high])!,
            optimum_difference: optima[0] === null || optima[1] === null ? null : signed(optima[0]! - optima[1]!),
            judge_difference: signed(judged?.mean),
            judge_ci_low: signed(judged?.[low]),
            judge_ci_high: signed(judged?.[high]),
          },
        ];
      }),
    ),
  };
}

/** The KLs that the runs asked for, in rising order. */
export function targetKls(results: ExperimentResults): number[] {
  const asked = results.runs.flatMap(({ target_kl }) => (target_kl === null || target_kl === 0 ? [] : [target_kl]));
  return [...new Set(asked)].sort((a, b) => a - b);
}

interface Policy extends Pick<MeasuredPolicy, 'method' | 'seed' | 'kls'> {
  readonly meanKl: number;
  readonly win_rates: readonly WinRateResult[];
}

function policiesOf(results: ExperimentResults): Policy[] {
  const prompts = results.dataset.evaluation_prompts;
  return [
    ...results.runs.map(({ method, seed, kl, win_rates }) => {
      return { method, seed, kls: kl.by_prompt, meanKl: kl.exact.mean, win_rates };
    }),
    ...results.best_of_n.map(({ kl, win_rates }) => {
      return { method: BEST_OF_N, seed: undefined, kls: new Array<number>(prompts).fill(kl), meanKl: kl, win_rates };
    }),
  ];
}

function winRateOf({ win_rates }: Policy, procedure: string, scorer: Scorer): WinRateResult | undefined {
  return win_rates.find((one) => one.procedure === procedure && one.scorer === scorer);
}

/** What the optimum of a method reaches at a KL; null where its curve is not known, or not so far. */
function optimumAt(results: ExperimentResults, procedure: string, method: string, kl: number): number | null {
  const curve = results.method_curves.find((one) => one.procedure === procedure && one.method === method);
  return (curve && curveAt(curve.points, kl)) ?? null;
}

/** Why there are fewer seeds with a value than there are seeds of these policies of a method; null where there are not. */
function noteOn(policies: readonly Policy[], seeds: number, { kl, frontier }: MatchedMethods): string | null {
  const all = new Set(policies.map(({ seed }) => seed)).size;
  if (seeds === all) return null;
  if (frontier === undefined) return 'the frontier was not computed up to this KL';
  const near = `within ${100 * MATCHED_KL_REACH} % of this KL, nor runs on both sides of it`;
  if (seeds > 0) return `${all - seeds} of ${all} seeds have no run ${near}`;
  const distance = ({ meanKl }: Policy): number => Math.abs(Math.log(meanKl / kl));
  const [nearest] = [...policies].sort((a, b) => distance(a) - distance(b));
  return `no run ${near}: the nearest has ${nearest!.meanKl.toFixed(3)} nats`;
}
