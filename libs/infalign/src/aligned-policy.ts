import { gaussLegendre } from './gauss-legendre.js';
import { InputError } from './input-error.js';
import { orderStatisticDensity, orderStatisticSurvival, type Procedure } from './procedure.js';

/** The optimum of KL-regularised RL on Φ(C), as the distribution of its calibrated reward. */
export interface AlignedPolicy {
  /** KL(π‖πref) in nats. */
  readonly kl: number;
  /** Win rate of one draw over one draw of πref: the mean calibrated reward. */
  readonly standardWinRate: number;
  /** Win rate of T(π) over T(πref). */
  readonly winRate: (procedure: Procedure) => number;
}

/**
 * The policy with density f(u) = e^{Φ(u)/β}/Z on the calibrated reward u ∈ [0, 1], which maximises E[Φ(C)] − β·KL(π‖πref)
 * when calibrated rewards have no ties.
 *
 * [0, 1] is cut into panels until f and its distribution function F are polynomials to rounding on each, however narrow the
 * peak; win rates and KL are then Gauss–Legendre sums with errors near 1e-12.
 *
 * @param phi Φ: continuous and finite on (0, 1], or −∞ where the policy never goes; it need not be monotone
 * @param beta raw β, positive
 * @throws InputError if β is not a positive number, or Φ is NaN or +∞ somewhere
 */
export function alignedPolicy(phi: (u: number) => number, beta: number): AlignedPolicy {
  assertBeta(beta);
  const panels = resolve((u) => {
    const exponent = phi(u) / beta;
    if (Number.isNaN(exponent) || exponent === Infinity) {
      throw new InputError(`the transformation over β = ${beta} is ${exponent} at u = ${u}: it must be finite or −∞`);
    }
    return exponent;
  });

  // Exponents are taken relative to the largest: the density's scale neither overflows nor underflows.
  const peak = panels.reduce((highest, panel) => Math.max(highest, panel.highest), -Infinity);
  const total = panels.reduce((sum, panel) => sum + mass(panel, peak), 0);
  const logTotal = peak + Math.log(total);

  const size = panels.length * ORDER;
  const u = new Float64Array(size);
  const weight = new Float64Array(size);
  const below = new Float64Array(size); // F
  const above = new Float64Array(size); // 1 − F, from its own sum: exact also where it is tiny
  let kl = 0;
  let standardWinRate = 0;
  let fromLeft = 0;
  let fromRight = 0;
  const masses = panels.map((panel) => mass(panel, peak) / total);
  const massesToTheRight = new Float64Array(panels.length);
  for (let p = panels.length - 1; p >= 0; p--) {
    massesToTheRight[p] = fromRight;
    fromRight += masses[p] as number;
  }
  const density = new Float64Array(ORDER);
  panels.forEach((panel, p) => {
    const half = (panel.right - panel.left) / 2;
    for (let i = 0; i < ORDER; i++) {
      const at = p * ORDER + i;
      const logDensity = (panel.exponents[i] as number) - logTotal;
      density[i] = Math.exp(logDensity);
      u[at] = nodeOf(panel, i);
      weight[at] = half * (RULE.weights[i] as number);
      kl += weight[at] * relativeEntropyDensity(logDensity);
      standardWinRate += weight[at] * u[at] * (density[i] as number);
    }
    for (let i = 0; i < ORDER; i++) {
      let left = 0;
      for (let j = 0; j < ORDER; j++) left += (RULE.cumulative[i * ORDER + j] as number) * (density[j] as number);
      left = Math.min(masses[p] as number, Math.max(0, half * left));
      below[p * ORDER + i] = Math.min(1, fromLeft + left);
      above[p * ORDER + i] = Math.min(1, (massesToTheRight[p] as number) + (masses[p] as number) - left);
    }
    fromLeft += masses[p] as number;
  });

  return {
    kl: Math.max(0, kl),
    standardWinRate,
    winRate(procedure) {
      let winRate = 0;
      for (const statistic of procedure.orderStatistics) {
        const survival = orderStatisticSurvival(statistic);
        const referenceDensity = orderStatisticDensity(statistic);
        let sum = 0;
        for (let at = 0; at < size; at++) {
          const level = u[at] as number;
          sum +=
            (weight[at] as number) *
            survival(below[at] as number, above[at] as number) *
            referenceDensity(level, 1 - level);
        }
        winRate += statistic.weight * sum;
      }
      return winRate;
    },
  };
}

/** @throws InputError unless β is a positive, finite number */
export function assertBeta(beta: number): void {
  if (!(beta > 0 && beta < Infinity)) throw new InputError(`β must be a number above 0, not ${beta}`);
}

/** f·ln f − f + 1 for f = e^{logDensity}: its integral is the KL, and every part of it is positive, so nothing cancels. */
export function relativeEntropyDensity(logDensity: number): number {
  if (logDensity < -700) return 1;
  if (Math.abs(logDensity) > 0.1) return Math.exp(logDensity) * (logDensity - 1) + 1;
  let sum = 0;
  let power = 1;
  for (let k = 2; k <= 12; k++) {
    power *= logDensity / (k - 1);
    sum += (power * logDensity * (k - 1)) / k;
  }
  return sum;
}

const ORDER = 16;
const RULE = gaussLegendre(ORDER);
/** Panels are at first graded towards both ends, for the powers of u and 1 − u in win rates of large N. */
const GRADING = 14;
const NARROWEST = 2 ** -50;
/** A panel's share of the probability is limited so that F^N, too, is smooth on it. */
const LARGEST_MASS = 1 / 64;
const LARGEST_RANGE = 3;
/** Beyond this many panels it is noise of Φ, magnified by a tiny β, that is not smooth. */
const MOST_PANELS = 2000;

interface Panel {
  left: number;
  right: number;
  /** Φ/β at the nodes. */
  exponents: Float64Array;
  /** The largest and the smallest exponent at nodes and ends. */
  highest: number;
  lowest: number;
}

function resolve(exponent: (u: number) => number): Panel[] {
  const breaks = [0];
  for (let k = GRADING; k >= 1; k--) breaks.push(2 ** -k);
  for (let k = 2; k <= GRADING; k++) breaks.push(1 - 2 ** -k);
  breaks.push(1);
  let open = breaks.slice(1).map((right, i) => makePanel(exponent, breaks[i] as number, right));
  const settled: Panel[] = [];
  while (open.length > 0) {
    let peak = -Infinity;
    for (const panel of open) peak = Math.max(peak, panel.highest);
    for (const panel of settled) peak = Math.max(peak, panel.highest);
    if (peak === -Infinity) throw new InputError('the transformation is −∞ everywhere');
    let total = 0;
    for (const panel of open) total += mass(panel, peak);
    for (const panel of settled) total += mass(panel, peak);

    const next: Panel[] = [];
    const panels = settled.length + open.length;
    for (const panel of open) {
      const width = panel.right - panel.left;
      const negligible = width * Math.exp(panel.highest - peak) < 1e-18 * total;
      if (negligible || width < NARROWEST) {
        settled.push(panel);
        continue;
      }
      const middle = (panel.left + panel.right) / 2;
      const halves = [makePanel(exponent, panel.left, middle), makePanel(exponent, middle, panel.right)] as const;
      const own = mass(panel, peak);
      const range = panel.highest - panel.lowest;
      // Where a tiny β magnifies the rounding of u and Φ, no further cut makes the two sums agree better than this.
      const rounding = own * (range / width + Math.abs(panel.highest)) * Number.EPSILON * 4;
      const smooth =
        range <= LARGEST_RANGE &&
        own <= LARGEST_MASS * total &&
        (panels > MOST_PANELS ||
          Math.abs(own - mass(halves[0], peak) - mass(halves[1], peak)) <= 1e-14 * total + rounding);
      if (smooth) settled.push(panel);
      else next.push(...halves);
    }
    open = next;
  }
  return settled.sort((a, b) => a.left - b.left);
}

function makePanel(exponent: (u: number) => number, left: number, right: number): Panel {
  const ends = [exponent(left), exponent(right)] as const;
  const panel = {
    left,
    right,
    exponents: new Float64Array(ORDER),
    highest: Math.max(...ends),
    lowest: Math.min(...ends),
  };
  for (let i = 0; i < ORDER; i++) {
    const value = exponent(nodeOf(panel, i));
    panel.exponents[i] = value;
    panel.highest = Math.max(panel.highest, value);
    panel.lowest = Math.min(panel.lowest, value);
  }
  return panel;
}

function nodeOf(panel: { left: number; right: number }, i: number): number {
  return panel.left + ((panel.right - panel.left) / 2) * (1 + (RULE.nodes[i] as number));
}

/** ∫ e^{Φ/β − peak} over the panel. */
function mass(panel: Panel, peak: number): number {
  let sum = 0;
  for (let i = 0; i < ORDER; i++) {
    sum += (RULE.weights[i] as number) * Math.exp((panel.exponents[i] as number) - peak);
  }
  return ((panel.right - panel.left) / 2) * sum;
}
