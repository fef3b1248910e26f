import { alignedPolicy } from './aligned-policy.js';
import { InputError } from './input-error.js';
import { optimalPolicy, tryOptimalPolicy } from './optimal-policy.js';
import type { Procedure } from './procedure.js';
import { solveForKl } from './solve-for-kl.js';
import { logTransformation, type Transformation } from './transformation.js';

/** What an aligned policy reaches, exactly, when calibrated rewards have no ties: independent of prompt, reward and πref. */
export interface FrontierPoint {
  /** Name of the inference-time procedure. */
  procedure: string;
  /** Name of the transformation. */
  transform: string;
  /** Raw β: of f = e^{Φ/β}/Z with the untransformed formula of Φ. See normalisedBeta for the other. */
  beta: number;
  /** KL(π‖πref) in nats. */
  kl: number;
  /** Win rate of one draw over one draw of πref. */
  standardWinRate: number;
  /** Win rate of T(π) over T(πref). */
  winRate: number;
}

/** How strongly the policy is held to πref: by a raw β, or by the KL in nats that it is to have. */
export type Strength = { beta: number } | { kl: number };

/**
 * KL and win rates of the policy aligned on a transformation, evaluated for a procedure. Accurate to 1e-9 for β from 1e-9 to
 * 1e9 times the transformation's standard deviation.
 *
 * @param transformation a transformation, or 'optimal' for the fixed point of this procedure at this strength
 * @throws InputError if β or the KL is not above 0, or the KL is out of reach for this transformation; the message gives the limit
 */
export function frontierPoint(
  procedure: Procedure,
  transformation: Transformation | 'optimal',
  strength: Strength,
): FrontierPoint {
  if (transformation === 'optimal') return optimalPoint(procedure, strength, 1);
  const beta = 'beta' in strength ? strength.beta : betaForKl(transformation, strength.kl);
  const policy = alignedPolicy(transformation.apply, beta);
  return {
    procedure: procedure.name,
    transform: transformation.name,
    beta,
    kl: policy.kl,
    standardWinRate: policy.standardWinRate,
    winRate: policy.winRate(procedure),
  };
}

/**
 * The raw β at which the policy aligned on a transformation has the given KL; KL never increases with β.
 *
 * @param kl nats, above 0
 * @throws InputError if the KL is not above 0, or out of reach: because Φ is largest on a whole interval, or because the policy
 *   would be a point mass in double precision (from 25 nats on); the message gives the limit
 */
export function betaForKl(transformation: Transformation, kl: number): number {
  return solveForKl(
    kl,
    (beta) => alignedPolicy(transformation.apply, beta),
    transformation.standardDeviation,
    transformation.standardDeviation * 1e-11,
    transformation.name,
  ).beta;
}

/**
 * The best win rate that any policy reaches under a procedure, at each KL: for best-of-N the proven maximum, for standard its
 * special case N = 1; for other procedures the only stationary policy there is (see optimalPolicy). A measured point above
 * this curve, beyond its interval, is a bug in the measurement.
 *
 * @param kls KL in nats, each at least 0, in any order; 0 gives πref itself, with β = Infinity
 * @throws InputError if a KL is below 0 or beyond double precision
 */
export function frontierCurve(procedure: Procedure, kls: ArrayLike<number>): FrontierPoint[] {
  let nearbyBeta = 1;
  return Array.from(kls, (kl) => {
    if (kl === 0) {
      const half = { beta: Infinity, kl: 0, standardWinRate: 0.5, winRate: 0.5 };
      return { procedure: procedure.name, transform: 'optimal', ...half };
    }
    const point = optimalPoint(procedure, { kl }, nearbyBeta);
    nearbyBeta = point.beta;
    return point;
  });
}

/**
 * The optimal transformation itself (the paper's bon_fp and won_fp, for any procedure), to train with. It is best for this
 * strength only, with the β returned beside it.
 *
 * @throws InputError as frontierPoint
 */
export function optimalTransformation(
  procedure: Procedure,
  strength: Strength,
): { transformation: Transformation; beta: number } {
  const { beta } = optimalPoint(procedure, strength, 1);
  return { transformation: optimalPolicy(procedure, beta).transformation(), beta };
}

/** What the best-of-n policy reaches. */
export interface BestOfPolicy {
  kl: number;
  standardWinRate: number;
  winRate: number;
}

/**
 * The best-of-n policy *as a policy*: each answer is the best of n draws of πref, so F(u) = uⁿ, KL = ln n − (n−1)/n, and its
 * standard win rate is n/(n+1), as is its best-of-N win rate for every N. It is also the optimum of the log transformation at β = 1/(n−1).
 *
 * @param n at least 1; need not be whole
 * @param procedure what is done with the policy's draws in turn
 * @throws InputError if n is below 1
 */
export function bestOfPolicy(n: number, procedure: Procedure): BestOfPolicy {
  if (!(n >= 1 && n < Infinity)) throw new InputError(`the n of a best-of-n policy must be at least 1, not ${n}`);
  return {
    kl: Math.log(n) - (n - 1) / n,
    standardWinRate: n / (n + 1),
    winRate: n === 1 ? 0.5 : alignedPolicy(logTransformation.apply, 1 / (n - 1)).winRate(procedure),
  };
}

function optimalPoint(procedure: Procedure, strength: Strength, nearbyBeta: number): FrontierPoint {
  let last: { beta: number; shot: number } | undefined;
  const nearby = (beta: number) => {
    const policy = tryOptimalPolicy(procedure, beta, last);
    if (policy !== undefined) last = { beta, shot: policy.shot };
    return policy;
  };
  const { beta, policy } =
    'beta' in strength
      ? { beta: strength.beta, policy: optimalPolicy(procedure, strength.beta) }
      : solveForKl(strength.kl, nearby, nearbyBeta, 1e-280, `optimal for ${procedure.name}`);
  const { kl, standardWinRate, winRate } = policy;
  return { procedure: procedure.name, transform: 'optimal', beta, kl, standardWinRate, winRate };
}
