import { InputError } from './input-error.js';

/** One deterministic choice among N draws: the one whose reward has this rank. */
export interface OrderStatistic {
  /** N ≥ 1 draws. */
  readonly draws: number;
  /** 1 for the best of them, `draws` for the worst. */
  readonly rank: number;
  /** Probability that the deployed system chooses so; the weights of a procedure sum to 1. */
  readonly weight: number;
}

/**
 * An inference-time procedure T: what is done with the policy's draws before an answer counts. Every procedure here is a
 * mixture of order statistics, and in a comparison both sides use the same one of them: with g(F) the distribution
 * function of T(π)'s calibrated reward when F is that of π's,
 *   win rate of T(π) over T(πref) = Σ weight · ∫ (1 − g(F(u))) g′(u) du.
 */
export interface Procedure {
  /** As parseProcedure reads it. */
  readonly name: string;
  readonly orderStatistics: readonly OrderStatistic[];
}

/** Plain sampling. */
export const standardProcedure: Procedure = {
  name: 'standard',
  orderStatistics: [{ draws: 1, rank: 1, weight: 1 }],
};

const LARGEST_DRAWS = 1000;

/**
 * Best-of-N: draw N, keep the best.
 * @throws InputError if N is not a whole number from 1 to 1000
 */
export function bestOf(draws: number): Procedure {
  return { name: `bon:${draws}`, orderStatistics: [orderStatistic(`bon:${draws}`, 1, draws)] };
}

/**
 * Worst-of-N: draw N, the worst counts (an adversary picks).
 * @throws InputError if N is not a whole number from 1 to 1000
 */
export function worstOf(draws: number): Procedure {
  return { name: `won:${draws}`, orderStatistics: [orderStatistic(`won:${draws}`, draws, draws)] };
}

/**
 * The k-th best of N: k = 1 is best-of-N, k = N worst-of-N.
 * @throws InputError unless k and N are whole numbers, 1 ≤ k ≤ N ≤ 1000
 */
export function kthBestOf(rank: number, draws: number): Procedure {
  const name = `kth:${rank}/${draws}`;
  return { name, orderStatistics: [orderStatistic(name, rank, draws)] };
}

/**
 * A mixture: which procedure will be used is not known, only its probability. The win rate is the weighted mean.
 *
 * @param parts procedures with weights above 0 that sum to 1 (within 1e-6; the rest is scaled away)
 * @throws InputError if they do not
 */
export function mixtureOf(parts: readonly { procedure: Procedure; weight: number }[]): Procedure {
  const total = parts.reduce((sum, part) => sum + part.weight, 0);
  if (parts.some((part) => !(part.weight > 0)) || !(Math.abs(total - 1) < 1e-6)) {
    throw new InputError(
      `the weights of a mixture must be above 0 and sum to 1, not ${parts.map((part) => part.weight).join(' + ') || '0'}`,
    );
  }
  return {
    name: `mix:${parts.map((part) => `${part.procedure.name}@${part.weight}`).join('+')}`,
    orderStatistics: parts.flatMap((part) =>
      part.procedure.orderStatistics.map((one) => ({ ...one, weight: (one.weight * part.weight) / total })),
    ),
  };
}

/**
 * Reads an inference-time procedure: `standard`, `bon:N` (best-of-N), `won:N` (worst-of-N), `kth:K/N` (K-th best of N),
 * or a mixture with weights that sum to 1, `mix:bon:1@0.5+bon:4@0.5`.
 *
 * @throws InputError that lists what is allowed
 */
export function parseProcedure(text: string): Procedure {
  const trimmed = text.trim();
  const single = parseSingle(trimmed);
  if (single !== undefined) return single;
  if (trimmed.startsWith('mix:')) {
    const parts = trimmed.slice('mix:'.length).split('+').map(parseMixturePart);
    if (parts.every((part) => part !== undefined)) return mixtureOf(parts);
  }
  throw new InputError(
    `unknown inference-time procedure '${text}': use standard, bon:N, won:N, kth:K/N, ` +
      'or a mixture with weights that sum to 1, as in mix:bon:1@0.5+bon:4@0.5',
  );
}

/** N·C(N−1, k−1)·F^{N−k}·(1−F)^{k−1}: the derivative g′ of the k-th best of N's distribution function, at F with survival S = 1 − F. */
export function orderStatisticDensity({ draws, rank }: OrderStatistic): (F: number, S: number) => number {
  if (draws === 1) return () => 1;
  const below = draws - rank;
  const above = rank - 1;
  if (above === 0) return (F) => draws * F ** below;
  if (below === 0) return (_F, S) => draws * S ** above;
  const logFactor = Math.log(draws) + logBinomial(draws - 1, above);
  return (F, S) => (F > 0 && S > 0 ? Math.exp(logFactor + below * Math.log(F) + above * Math.log(S)) : 0);
}

/** 1 − g(F): the probability that the k-th best of N exceeds a level that one draw exceeds with probability S = 1 − F. */
export function orderStatisticSurvival({ draws, rank }: OrderStatistic): (F: number, S: number) => number {
  if (rank === draws) return (_F, S) => S ** draws;
  if (rank === 1) return (F) => 1 - F ** draws;
  // It exceeds when at least `rank` draws do; the shorter of the two binomial sums.
  const upper = draws - rank + 1 <= rank;
  const from = upper ? rank : 0;
  const to = upper ? draws : rank - 1;
  const logBinomials = Array.from({ length: to - from + 1 }, (_, i) => logBinomial(draws, from + i));
  return (F, S) => {
    if (F <= 0) return 1;
    if (S <= 0) return 0;
    const logF = Math.log(F);
    const logS = Math.log(S);
    let sum = 0;
    for (let j = from; j <= to; j++)
      sum += Math.exp((logBinomials[j - from] as number) + j * logS + (draws - j) * logF);
    return upper ? sum : 1 - sum;
  };
}

function orderStatistic(name: string, rank: number, draws: number): OrderStatistic {
  if (!(Number.isInteger(draws) && draws >= 1 && draws <= LARGEST_DRAWS)) {
    throw new InputError(
      `${name}: the number of draws must be a whole number from 1 to ${LARGEST_DRAWS}, not ${draws}`,
    );
  }
  if (!(Number.isInteger(rank) && rank >= 1 && rank <= draws)) {
    throw new InputError(
      `${name}: the rank must be a whole number from 1 to the number of draws ${draws}, not ${rank}`,
    );
  }
  return { draws, rank, weight: 1 };
}

function parseSingle(text: string): Procedure | undefined {
  if (text === 'standard') return standardProcedure;
  const match = /^(?:(bon|won):(\d+)|kth:(\d+)\/(\d+))$/.exec(text);
  if (match === null) return undefined;
  const [, kind, draws, rank, rankDraws] = match;
  if (kind === 'bon') return bestOf(Number(draws));
  if (kind === 'won') return worstOf(Number(draws));
  return kthBestOf(Number(rank), Number(rankDraws));
}

function parseMixturePart(text: string): { procedure: Procedure; weight: number } | undefined {
  const match = /^(.+)@(\d+\.?\d*|\.\d+)$/.exec(text.trim());
  const procedure = match === null ? undefined : parseSingle((match[1] as string).trim());
  return match === null || procedure === undefined ? undefined : { procedure, weight: Number(match[2]) };
}

function logBinomial(n: number, k: number): number {
  let sum = 0;
  for (let j = 1; j <= Math.min(k, n - k); j++) sum += Math.log((n - j + 1) / j);
  return sum;
}
