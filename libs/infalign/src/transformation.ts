import { InputError } from './input-error.js';

/** A transformation Φ of the calibrated reward u ∈ [0, 1]; Φ never decreases. */
export interface Transformation {
  /** As parseTransformation reads it, where it is one of those. */
  readonly name: string;
  /** Φ(u), raw: the scale that a raw β belongs to. */
  readonly apply: (u: number) => number;
  /** Mean of Φ(u) under u ~ Uniform(0, 1). */
  readonly mean: number;
  /** Standard deviation of Φ(u) under u ~ Uniform(0, 1); positive. */
  readonly standardDeviation: number;
  /** (Φ(u) − mean) / standardDeviation: the scale that a normalised β belongs to. */
  readonly normalised: (u: number) => number;
  /**
   * An estimate of the raw Φ(C) from an empirical Ĉ of K references, of which so many tie with the response, without the
   * finite-K bias which Φ(Ĉ) has; absent where there is none. Of an exponential it is the series to degree K, whose rest is its bias: nothing that matters for K ≥ 2|t|, but
   * for K < |t| as much as that of Φ(Ĉ) (exp:10, normalised: −0.27 at K = 8, −0.007 at 16).
   */
  readonly unbiasedEstimate?: (calibratedReward: number, referenceCount: number, ties?: number) => number;
}

/** Φ(u) = u: the best transformation for plain sampling. */
export const identityTransformation: Transformation = {
  name: 'identity',
  apply: (u) => u,
  mean: 0.5,
  standardDeviation: Math.sqrt(1 / 12),
  normalised: (u) => (u - 0.5) * Math.sqrt(12),
  unbiasedEstimate: (calibratedReward) => calibratedReward,
};

/** Φ(u) = ln u, with Φ(0) = −∞: its optimum at β is the best-of-n policy with n = 1 + 1/β. */
export const logTransformation: Transformation = {
  name: 'log',
  apply: Math.log,
  mean: -1,
  standardDeviation: 1,
  normalised: (u) => Math.log(u) + 1,
};

const LARGEST_EXPONENT = 700;

/**
 * Φ(u) = sign(t)·e^{t·u}: for best-of-N with t > 0 (5 and 10 are good), for worst-of-N with t < 0.
 *
 * The normalised form is accurate for every t, down to t → 0, where it becomes the normalised identity.
 *
 * @param t from −700 to 700, not 0
 * @throws InputError outside that range
 */
export function exponentialTransformation(t: number): Transformation {
  if (!Number.isFinite(t) || t === 0 || Math.abs(t) > LARGEST_EXPONENT) {
    throw new InputError(
      `exp:${t} is not a transformation: the exponent must be above 0 (for best-of-N) or below 0 (for worst-of-N), ` +
        `and at most ${LARGEST_EXPONENT} in size; for the limit 0 use identity`,
    );
  }
  const sign = Math.sign(t);
  const steepness = Math.abs(t);
  // e^{t·u} = scale · e^{−steepness·d} with d the distance from the end where it is largest: nothing overflows.
  const scale = t > 0 ? Math.exp(t) : 1;
  const distance = t > 0 ? (u: number) => 1 - u : (u: number) => u;
  const meanMinusOne = decayMeanMinusOne(steepness);
  const deviation = Math.sqrt(decayVariance(steepness));
  const tables = new Map<number, Float64Array>();

  return {
    name: `exp:${t}`,
    apply: (u) => sign * Math.exp(t * u),
    mean: sign * scale * (1 + meanMinusOne),
    standardDeviation: scale * deviation,
    normalised: (u) => (sign * (Math.expm1(-steepness * distance(u)) - meanMinusOne)) / deviation,
    unbiasedEstimate(calibratedReward, referenceCount, ties) {
      assertEstimate(calibratedReward, referenceCount);
      let table = tables.get(referenceCount);
      if (table === undefined) {
        table = unbiasedExponentials(steepness, referenceCount);
        tables.set(referenceCount, table);
      }
      // For t < 0 count the references that beat the response: e^{t·C} = e^{t}·e^{|t|·(1 − C)}, whose series has no cancellation.
      const halfWins = Math.round(2 * referenceCount * (t > 0 ? calibratedReward : 1 - calibratedReward));
      return sign * (t > 0 ? 1 : Math.exp(t)) * meanOverTies(table, halfWins, ties ?? halfWins % 2);
    },
  };
}

/**
 * Φ of an *empirical* calibrated reward, always finite.
 *
 * Where Φ(0) is infinite (log), Ĉ is taken to be at least 1/(2K). A response that beats none of K references has a true C
 * whose geometric mean under a uniform prior is e^{ψ(1)−ψ(K+2)} ≈ 0.56/K, and 1/(2K) is also the smallest Ĉ above 0 (a tie
 * with the lowest reference), so that the transformed rewards keep their order.
 *
 * @param calibratedReward Ĉ from 0 to 1, a multiple of 1/(2·referenceCount)
 * @param referenceCount K, the number of references behind Ĉ (K − 1 after leaving one out)
 * @param options normalised: on the scale of mean 0 and unit variance (default: raw); corrected: use the estimate that
 *   is free of finite-K bias (default: Φ(Ĉ)); ties: references with the response's own reward, which the correction has to
 *   know (default: as few as Ĉ can have, 0 or 1)
 * @throws InputError if Ĉ or K is out of range, there cannot be so many ties, or a correction is asked of a transformation
 *   that has none
 */
export function transformEstimate(
  transformation: Transformation,
  calibratedReward: number,
  referenceCount: number,
  options: { normalised?: boolean; corrected?: boolean; ties?: number } = {},
): number {
  assertEstimate(calibratedReward, referenceCount);
  if (options.corrected === true) {
    if (transformation.unbiasedEstimate === undefined) {
      throw new InputError(
        `the finite-K correction is known for identity and exp:T only, not for ${transformation.name}`,
      );
    }
    const value = transformation.unbiasedEstimate(calibratedReward, referenceCount, options.ties);
    return options.normalised === true ? (value - transformation.mean) / transformation.standardDeviation : value;
  }
  const u =
    transformation.apply(0) === -Infinity ? Math.max(calibratedReward, 1 / (2 * referenceCount)) : calibratedReward;
  return options.normalised === true ? transformation.normalised(u) : transformation.apply(u);
}

/**
 * The finite-K bias of the exponential transformation, as a factor: E[e^{t·Ĉ}] / e^{t·C} for Ĉ from K references, exactly
 * (1 − C + C·e^{t/K})^K · e^{−t·C}, since K·Ĉ is binomial. Above 1, and 1 in the limit of large K.
 *
 * @param t exponent of exp:t
 * @param calibratedReward the true C, from 0 to 1
 * @param referenceCount K ≥ 1
 */
export function exponentialBias(t: number, calibratedReward: number, referenceCount: number): number {
  const perReference = Math.log1p(calibratedReward * Math.expm1(t / referenceCount));
  return Math.exp(referenceCount * perReference - t * calibratedReward);
}

/**
 * The raw β of f = e^{Φ/β}/Z for a β that multiplies the KL beside the *normalised* transformation: β·σ.
 *
 * @param normalisedBeta positive
 */
export function rawBeta(transformation: Transformation, normalisedBeta: number): number {
  return normalisedBeta * transformation.standardDeviation;
}

/**
 * The β beside the normalised transformation that has the same optimum as this raw β: β/σ.
 *
 * @param beta raw, positive
 */
export function normalisedBeta(transformation: Transformation, beta: number): number {
  return beta / transformation.standardDeviation;
}

function assertEstimate(calibratedReward: number, referenceCount: number): void {
  if (!(calibratedReward >= 0 && calibratedReward <= 1)) {
    throw new InputError(`a calibrated reward is ${calibratedReward}: it must be from 0 to 1`);
  }
  if (!(Number.isInteger(referenceCount) && referenceCount >= 1)) {
    throw new InputError(`the number of references is ${referenceCount}: it must be a whole number of at least 1`);
  }
}

/** E[e^{−a·d}] − 1 for d ~ Uniform(0, 1). */
function decayMeanMinusOne(a: number): number {
  if (a > 1) return -Math.expm1(-a) / a - 1;
  let sum = 0;
  let term = 1;
  for (let k = 1; k < 25; k++) {
    term *= -a / (k + 1);
    sum += term;
  }
  return sum;
}

/** Var[e^{−a·d}] for d ~ Uniform(0, 1). */
function decayVariance(a: number): number {
  if (a > 2) return -Math.expm1(-2 * a) / (2 * a) - (Math.expm1(-a) / a) ** 2;
  // e^{−a}·(sinh h/h)·(cosh h − sinh h/h) with h = a/2; the bracket as the series Σ h^{2k}·2k/(2k+1)!, free of cancellation.
  const h = a / 2;
  let bracket = 0;
  let power = 1;
  for (let k = 1; k < 16; k++) {
    power *= (h * h) / (2 * k * (2 * k + 1));
    bracket += 2 * k * power;
  }
  return Math.exp(-a) * (Math.sinh(h) / h) * bracket;
}

/**
 * Estimates of e^{a·C} from B wins among K: Σ_{m ≤ K} a^m/m! · [B]_m/[K]_m with falling factorials. Each [B]_m/[K]_m
 * is unbiased for C^m, so what is missing is only the series' tail beyond K. Entry B.
 */
function unbiasedExponentials(a: number, referenceCount: number): Float64Array {
  const table = new Float64Array(referenceCount + 1);
  for (let wins = 0; wins <= referenceCount; wins++) {
    let sum = 1;
    let term = 1;
    for (let m = 1; m <= wins; m++) {
      term *= ((a / m) * (wins - m + 1)) / (referenceCount - m + 1);
      sum += term;
    }
    table[wins] = sum;
  }
  return table;
}

/**
 * The mean of a table's entries by wins where each tie is a win or none with equal chances: wins then are binomial, as the
 * table takes them to be.
 *
 * @param halfWins two for a win, one for a tie
 */
function meanOverTies(table: Float64Array, halfWins: number, ties: number): number {
  const wins = (halfWins - ties) / 2;
  if (!(Number.isInteger(wins) && ties >= 0 && wins >= 0 && wins + ties < table.length)) {
    throw new InputError(`${ties} ties do not fit ${halfWins} half wins among ${table.length - 1} references`);
  }
  let sum = 0;
  let total = 0;
  // Wins of ties from the middle down, and as many up: weights are those of the binomial distribution over the largest.
  let weight = 1;
  for (let won = ties >> 1; won >= 0; won--) {
    const lost = ties - won;
    sum += weight * ((table[wins + won] as number) + (won === lost ? 0 : (table[wins + lost] as number)));
    total += weight * (won === lost ? 1 : 2);
    weight *= won / (lost + 1);
  }
  return sum / total;
}
