import type { CurvePoint, ExperimentResults, Interval, Scorer, WinRateResult } from './results.js';

/** A measured win rate beside the exact limit. */
export interface Assessment {
  readonly procedure: string;
  readonly scorer: Scorer;
  readonly winRate: WinRateResult;
  /** The best win rate that any policy can have at the run's measured KL; undefined where the frontier does not reach. */
  readonly frontier: number | undefined;
  /** (win rate − ½) / (frontier − ½): the share of the possible gain that was reached; undefined where there is no frontier. */
  readonly efficiency: number | undefined;
  /** The point lies above the frontier even at the far ends of both its intervals. No policy can do that: it is a bug. */
  readonly aboveFrontier: boolean;
}

/**
 * The value of an exact curve at a KL, interpolated linearly in √KL, in which win rates are smooth down to zero.
 *
 * @param points in rising order of KL
 * @param kl nats
 * @returns undefined outside the curve's range
 */
export function curveAt(points: readonly CurvePoint[], kl: number): number | undefined {
  const next = points.findIndex((point) => point.kl >= kl);
  const above = points[next];
  if (above === undefined) return undefined;
  if (above.kl === kl) return above.win_rate;
  const below = points[next - 1];
  if (below === undefined) return undefined;
  const fraction = (Math.sqrt(kl) - Math.sqrt(below.kl)) / (Math.sqrt(above.kl) - Math.sqrt(below.kl));
  return below.win_rate + fraction * (above.win_rate - below.win_rate);
}

/** The frontier of a procedure as a function of KL; undefined beyond the results' points of it. */
export function frontierOf(results: ExperimentResults, procedure: string): (kl: number) => number | undefined {
  const points = results.frontiers.find((curve) => curve.procedure === procedure)?.points ?? [];
  return (kl) => curveAt(points, kl);
}

/** What is assessed of a policy: a run, or one that was not trained. */
export interface MeasuredRun {
  readonly kl: { readonly exact: Pick<Interval, 'mean' | 'high'> };
  readonly win_rates: readonly WinRateResult[];
}

/** Compares every win rate of a policy with the exact frontier of its procedure. */
export function assessRun(results: ExperimentResults, run: MeasuredRun): Assessment[] {
  return run.win_rates.map((winRate) => {
    const { procedure, scorer } = winRate;
    const frontierAt = frontierOf(results, procedure);
    // An estimate can fall below zero, where the limit is that of the base policy itself.
    const frontier = frontierAt(Math.max(0, run.kl.exact.mean));
    const limit = frontierAt(Math.max(0, run.kl.exact.high));
    return {
      procedure,
      scorer,
      winRate,
      frontier,
      efficiency: frontier === undefined || frontier <= 0.5 ? undefined : (winRate.mean - 0.5) / (frontier - 0.5),
      aboveFrontier: limit !== undefined && winRate.low > limit,
    };
  });
}

/** A measurement that no policy can reach. */
export interface PointAboveFrontier extends Assessment {
  /** Name of the run. */
  readonly run: string;
}

/** All measurements that lie above the exact frontier beyond their intervals: each is a sign of a bug. */
export function pointsAboveFrontier(results: ExperimentResults): PointAboveFrontier[] {
  return results.runs.flatMap((run) =>
    assessRun(results, run)
      .filter((assessment) => assessment.aboveFrontier)
      .map((assessment) => ({ run: run.name, ...assessment })),
  );
}
