import { assertBeta, relativeEntropyDensity } from './aligned-policy.js';
import { bracketedRoot } from './bracketed-root.js';
import { gaussLegendre } from './gauss-legendre.js';
import { InputError } from './input-error.js';
import { orderStatisticDensity, orderStatisticSurvival, type Procedure } from './procedure.js';
import type { Transformation } from './transformation.js';

/** The policy that maximises the win rate of a procedure less β·KL, on calibrated rewards without ties. */
export interface OptimalPolicy {
  /** KL(π‖πref) in nats. */
  readonly kl: number;
  /** Win rate of one draw over one draw of πref. */
  readonly standardWinRate: number;
  /** Win rate of T(π) over T(πref) for the procedure it was made for. */
  readonly winRate: number;
  /** Where the shooting met its target: a good start for a neighbouring β. */
  readonly shot: number;
  /** The Φ whose aligned policy at this β it is, with Φ(0) = 0; computed when asked for. */
  readonly transformation: () => Transformation;
}

/**
 * Solves for the policy whose win rate under a procedure, less β·KL(π‖πref), is stationary: with g(F) the procedure's
 * distribution function (see Procedure), its density is f = e^{Φ/β}/Z for the fixed point Φ′(u) = Σ weight · g′(F(u))·g′(u),
 * which for best-of-N is N²·(F(u)·u)^{N−1} and for worst-of-N N²·((1−F(u))·(1−u))^{N−1} (InfAlign, arXiv 2412.19792).
 *
 * For best-of-N the objective is concave in F, so that this is the global maximum. For others it is a stationary point;
 * shooting found exactly one for every procedure and β tried, and a maximum, which exists, is stationary.
 *
 * Method: the boundary-value problem y′ = Φ′/β, y = ln f, F′ = f, F(0) = 0, F(1) = 1 by shooting on y(0). Iterating the
 * fixed point diverges for small β, and so do steps in u where f is steep. The curve (u, F(u)) is therefore followed along
 * s = u + F, from 0 to 2, with δ = F − u: dδ/ds = tanh(y/2) and dy/ds = Φ′/(β·(1 + e^y)) stay tame for any f, and the end
 * condition is δ(2) = 0.
 *
 * @param beta raw β of the fixed point's own scale, positive
 * @throws InputError if β is not positive, or so small that the policy cannot be told from a point mass in double precision
 */
export function optimalPolicy(procedure: Procedure, beta: number): OptimalPolicy {
  const policy = tryOptimalPolicy(procedure, beta);
  if (policy === undefined) {
    throw new InputError(
      `β = ${beta} is too small for the optimal transformation for ${procedure.name}: its policy is a point mass in double ` +
        'precision; choose a larger β',
    );
  }
  return policy;
}

/**
 * optimalPolicy, or undefined where double precision does not resolve it.
 *
 * @param nearby the shot of the policy at a neighbouring β, if there is one: it saves time, and changes nothing else
 */
export function tryOptimalPolicy(
  procedure: Procedure,
  beta: number,
  nearby?: { beta: number; shot: number },
): OptimalPolicy | undefined {
  assertBeta(beta);
  const problem = boundaryValueProblem(procedure, beta);
  const missOf = (start: number) => {
    const { miss } = shoot(problem, start);
    // Below what the steps resolve, a hit is a hit. (For large β, all is small in proportion to the start.)
    return Math.abs(miss) < (TOLERANCE / 10) * Math.min(1, -start) ? 0 : miss;
  };
  const [low, high] = bracket(missOf, nearby === undefined ? undefined : nearbyStart(nearby, beta));
  if (low === undefined) return undefined;
  const shot = bracketedRoot(missOf, low, high, 1e-14);
  const final = shoot(problem, shot, 'measure');
  if (!final.resolved || Math.abs(final.miss) > 1e-6) return undefined;
  const [, , entropy, mean, winRate] = final.end;
  return {
    kl: Math.max(0, entropy as number),
    standardWinRate: mean as number,
    winRate: winRate as number,
    shot,
    transformation: () => tabulate(procedure, beta, problem, shot),
  };
}

interface BoundaryValueProblem {
  /** Σ weight · g′(F)·g′(u) / β, with F and u clamped to [0, 1]. */
  slope: (F: number, u: number) => number;
  /** ∫_0^u slope(0, v) dv: how y grows while F is still negligible. */
  growthWhileEmpty: (u: number) => number;
  /** ∫_0^u wins(0, v) dv: T(π) beats all of this. */
  winsWhileEmpty: (u: number) => number;
  /** Σ weight · (1 − g(F))·g′(u). */
  wins: (F: number, u: number) => number;
}

function boundaryValueProblem(procedure: Procedure, beta: number): BoundaryValueProblem {
  const parts = procedure.orderStatistics.map((statistic) => {
    const density = orderStatisticDensity(statistic);
    return { weight: statistic.weight, density, survival: orderStatisticSurvival(statistic), atZero: density(0, 1) };
  });
  return {
    slope(F, u) {
      let sum = 0;
      for (const { weight, density } of parts) sum += weight * density(F, 1 - F) * density(u, 1 - u);
      return sum / beta;
    },
    growthWhileEmpty(u) {
      let sum = 0;
      for (const { weight, survival, atZero } of parts) {
        if (atZero > 0) sum += weight * atZero * (1 - survival(u, 1 - u));
      }
      return sum / beta;
    },
    winsWhileEmpty(u) {
      let sum = 0;
      for (const { weight, survival } of parts) sum += weight * (1 - survival(u, 1 - u));
      return sum;
    },
    wins(F, u) {
      let sum = 0;
      for (const { weight, density, survival } of parts) sum += weight * survival(F, 1 - F) * density(u, 1 - u);
      return sum;
    },
  };
}

/**
 * The shooting parameter. From 0 down to LOWEST_START it is y(0) itself. Below, f is negligible (e^−45, 10⁻²⁰) until some u₀ > 0,
 * where y has grown to LOWEST_START: u₀ = 1 − e^{−(LOWEST_START − parameter)}. One bounded bracket so serves every β.
 * At 0, f ≥ 1 everywhere and F(1) ≥ 1; at EARLIEST_START, F(1) is 0 but for rounding.
 */
const LOWEST_START = -45;
const EARLIEST_START = LOWEST_START - 35;

/** Where Φ is given, ln f(0) goes with 1/β; the optimal Φ changes slowly. */
function nearbyStart(nearby: { beta: number; shot: number }, beta: number): number {
  if (nearby.shot < LOWEST_START) return nearby.shot;
  return Math.max(LOWEST_START, (nearby.shot * nearby.beta) / beta);
}

/** Starts between which the miss changes sign; no low one if F(1) exceeds 1 from all of them. */
function bracket(missOf: (start: number) => number, nearbyShot?: number): [low: number | undefined, high: number] {
  let high = 0;
  if (nearbyShot !== undefined) {
    let reach = 0.01 * (0.01 + (nearbyShot > LOWEST_START ? -nearbyShot : LOWEST_START - nearbyShot));
    if (missOf(nearbyShot) > 0) {
      high = nearbyShot;
      for (let low = high - reach; low > EARLIEST_START; reach *= 4, low -= reach) {
        if (missOf(low) <= 0) return [low, high];
        high = low;
      }
    } else {
      let low = nearbyShot;
      for (let next = low + reach; next < 0; reach *= 4, next += reach) {
        if (missOf(next) > 0) return [low, next];
        low = next;
      }
      return [low, 0];
    }
  }
  return [missOf(EARLIEST_START) > 0 ? undefined : EARLIEST_START, high];
}

const TOLERANCE = 1e-10;
const MOST_STEPS = 4000;

interface Shot {
  /** δ(2): above 0 where F reached 1 too early. */
  miss: number;
  /** False if y rose faster than steps in double precision can follow. */
  resolved: boolean;
  /** δ, y, and in a measuring shot ∫(f ln f − f + 1) du, ∫ u dF and ∫ wins du, at the end. */
  end: Float64Array;
}

/** A point of the solution curve, with its derivatives along s. */
interface CurvePoint {
  s: number;
  delta: number;
  deltaSlope: number;
  y: number;
  ySlope: number;
}

/** Dormand and Prince's embedded Runge–Kutta pair of orders 5 and 4 (1980), with first-same-as-last. */
const STAGES = [
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
  [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84],
] as const;
const STAGE_TIMES = [1 / 5, 3 / 10, 4 / 5, 8 / 9, 1, 1] as const;
const ERROR_WEIGHTS = [71 / 57600, 0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40] as const;

function startOf(start: number): { u: number; y: number } {
  return start >= LOWEST_START ? { u: 0, y: start } : { u: -Math.expm1(start - LOWEST_START), y: LOWEST_START };
}

function shoot(
  problem: BoundaryValueProblem,
  start: number,
  purpose: 'miss' | 'measure' | 'tabulate' = 'miss',
  visit?: (point: CurvePoint) => void,
): Shot {
  const measuring = purpose === 'measure';
  const dimension = measuring ? 5 : 2;
  // Between the points of a table there are only cubics: they lie closer, and more exactly.
  const [tolerance, largestStep] = purpose === 'tabulate' ? [TOLERANCE / 100, 1 / 128] : [TOLERANCE, 2];
  const from = startOf(start);

  const derivative = (s: number, state: Float64Array, out: Float64Array): void => {
    const delta = state[0] as number;
    const y = state[1] as number;
    const F = Math.min(1, Math.max(0, (s + delta) / 2));
    const u = Math.min(1, Math.max(0, (s - delta) / 2));
    const du = 1 / (1 + Math.exp(y));
    out[0] = Math.tanh(y / 2);
    out[1] = problem.slope(F, u) * du;
    if (measuring) {
      // For f above 1, du and the entropy density are products of 0 and ∞ in the limit: divide both by f first.
      out[2] = y > 1 ? (y - 1 + Math.exp(-y)) / (1 + Math.exp(-y)) : relativeEntropyDensity(y) * du;
      out[3] = u * (1 - du);
      out[4] = problem.wins(F, u) * du;
    }
  };

  let s = from.u;
  let state: Float64Array = new Float64Array(dimension);
  let next: Float64Array = new Float64Array(dimension);
  state[0] = -from.u;
  state[1] = from.y;
  if (measuring) {
    // While f is negligible the entropy density is 1.
    state[2] = from.u;
    state[4] = problem.winsWhileEmpty(from.u);
  }
  const k: Float64Array[] = Array.from({ length: 7 }, () => new Float64Array(dimension));
  derivative(s, state, k[0] as Float64Array);
  const visitPoint = () =>
    visit?.({
      s,
      delta: state[0] as number,
      deltaSlope: (k[0] as Float64Array)[0] as number,
      y: state[1] as number,
      ySlope: (k[0] as Float64Array)[1] as number,
    });
  visitPoint();

  let h = Math.min(0.05, largestStep, 0.1 / (1 + ((k[0] as Float64Array)[1] as number)));
  for (let step = 0; s < 2; step++) {
    // Too steep to follow: F jumps to 1 here.
    if (step === MOST_STEPS || s + h === s) return { miss: 1, resolved: false, end: state };
    const last = s + h >= 2 - 1e-14;
    if (last) h = 2 - s;
    for (let stage = 0; stage < 6; stage++) {
      const coefficients = STAGES[stage] as readonly number[];
      for (let d = 0; d < dimension; d++) {
        let sum = 0;
        for (let j = 0; j <= stage; j++) sum += (coefficients[j] as number) * ((k[j] as Float64Array)[d] as number);
        next[d] = (state[d] as number) + h * sum;
      }
      derivative(s + (STAGE_TIMES[stage] as number) * h, next, k[stage + 1] as Float64Array);
    }
    let error = 0;
    for (let d = 0; d < dimension; d++) {
      let sum = 0;
      for (let j = 0; j < 7; j++) sum += (ERROR_WEIGHTS[j] as number) * ((k[j] as Float64Array)[d] as number);
      const scale = d === 1 ? 1 + Math.abs(next[1] as number) : 1;
      error = Math.max(error, Math.abs(h * sum) / (tolerance * scale));
    }
    if (error <= 1) {
      s = last ? 2 : s + h;
      const before = state;
      state = next;
      next = before;
      const first = k[0] as Float64Array;
      k[0] = k[6] as Float64Array;
      k[6] = first;
      visitPoint();
    }
    h = Math.min(largestStep, h * Math.min(5, Math.max(0.2, 0.9 * Math.max(error, 1e-10) ** -0.2)));
  }
  return { miss: state[0] as number, resolved: true, end: state };
}

const RULE = gaussLegendre(8);

/** Φ = β·(y − y(0)) as a function of u, from the points of the solution curve and Hermite's cubics between them. */
function tabulate(procedure: Procedure, beta: number, problem: BoundaryValueProblem, start: number): Transformation {
  const name = `optimal(${procedure.name}, beta=${beta})`;
  const from = startOf(start);
  // In front of u₀ the curve is known in closed form: F is 0 there.
  const emptyGrowth = problem.growthWhileEmpty(from.u);
  const points: CurvePoint[] = [];
  shoot(problem, start, 'tabulate', (point) => points.push(point));

  const uOf = (i: number) => {
    const point = points[i] as CurvePoint;
    return (point.s - point.delta) / 2;
  };
  const raw = (u: number): number => {
    if (u <= from.u) return beta * problem.growthWhileEmpty(Math.max(0, u));
    let low = 0;
    let high = points.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (uOf(middle) <= u) low = middle;
      else high = middle;
    }
    const a = points[low] as CurvePoint;
    const b = points[high] as CurvePoint;
    const h = b.s - a.s;
    const uAt = (t: number) => (a.s + t * h - hermite(t, h, a.delta, a.deltaSlope, b.delta, b.deltaSlope)) / 2;
    const t = uAt(1) <= u ? 1 : uAt(0) >= u ? 0 : bracketedRoot((at) => uAt(at) - u, 0, 1, 1e-14);
    const y = hermite(t, h, a.y, a.ySlope, b.y, b.ySlope);
    return beta * (emptyGrowth + y - from.y);
  };

  // Moments under u ~ Uniform(0, 1), with the panels where the curve has its points.
  const breaks = [0];
  for (let i = 1; i <= 64 && from.u > 0; i++) breaks.push((from.u * i) / 64);
  for (let i = 1; i < points.length; i++) if (uOf(i) > (breaks[breaks.length - 1] as number)) breaks.push(uOf(i));
  const integrate = (integrand: (value: number) => number): number => {
    let sum = 0;
    for (let i = 1; i < breaks.length; i++) {
      const left = breaks[i - 1] as number;
      const half = ((breaks[i] as number) - left) / 2;
      for (let j = 0; j < RULE.nodes.length; j++) {
        sum += half * (RULE.weights[j] as number) * integrand(raw(left + half * (1 + (RULE.nodes[j] as number))));
      }
    }
    return sum;
  };
  const mean = integrate((value) => value);
  const standardDeviation = Math.sqrt(integrate((value) => (value - mean) ** 2));
  return { name, apply: raw, mean, standardDeviation, normalised: (u) => (raw(u) - mean) / standardDeviation };
}

/** The cubic with values p, q and slopes pSlope, qSlope at the ends of an interval of length h, at t ∈ [0, 1] of it. */
function hermite(t: number, h: number, p: number, pSlope: number, q: number, qSlope: number): number {
  const r = 1 - t;
  return r * r * (p * (1 + 2 * t) + h * pSlope * t) + t * t * (q * (1 + 2 * r) - h * qSlope * r);
}
