import { InputError } from './input-error.js';
import { mean } from './mean.js';
import { seededWords } from './random.js';
import { studentBound } from './student.js';

/** One policy as it was measured under one procedure by one scorer, prompt by prompt. */
export interface MeasuredPolicy {
  /** How it was trained. Policies of one method and seed differ in how far they went from πref. */
  readonly method: string;
  /** Seed of its training; undefined where nothing was trained. */
  readonly seed: number | undefined;
  /** KL from πref on each prompt in nats; the same prompts in the same order for all policies. */
  readonly kls: ArrayLike<number>;
  /** Win rate over πref on each of these prompts, 0 to 1. */
  readonly winRates: ArrayLike<number>;
}

/** A number with the interval around it. */
export interface EstimateInterval {
  readonly mean: number;
  readonly low: number;
  readonly high: number;
}

/** What a method reaches at a KL. */
export interface MethodAtKl {
  readonly method: string;
  /** How many of its seeds have a value at this KL. */
  readonly seeds: number;
  /** Mean over these seeds of (win rate − ½)/(frontier − ½); undefined where no seed has a value. */
  readonly efficiency: EstimateInterval | undefined;
  /** ½ + efficiency·(frontier − ½). */
  readonly winRate: EstimateInterval | undefined;
}

/** Methods at the same KL. */
export interface MatchedMethods {
  /** Nats. */
  readonly kl: number;
  /** The best win rate there is at it; undefined where the curve does not reach, and then no method has a value. */
  readonly frontier: number | undefined;
  /** In the order of the policies. */
  readonly methods: readonly MethodAtKl[];
  /** Win rate of the first less that of the second, both at this KL, for every pair of methods that have one. */
  readonly differences: readonly {
    readonly first: string;
    readonly second: string;
    readonly difference: EstimateInterval;
  }[];
}

/** What the intervals of a comparison depend on beside the measurements. */
export interface MatchedKlOptions {
  readonly seed: string | number;
  /** Default 1000. */
  readonly resamples?: number;
  /** Probability that an interval is meant to cover; default 0.95. */
  readonly confidence?: number;
}

/** How far from a seed's nearest policy, as a part of that policy's KL, a value is still given for it. */
export const MATCHED_KL_REACH = 0.25;

/**
 * Compares methods at the same KL, though their policies lie near it and not at it.
 *
 * A win rate rises steeply with the KL that was spent on it, and policies that asked for one KL end some percent apart: the raw
 * difference of two win rates is as much one of KL as one of method. But a policy's *efficiency*,
 * e = (win rate − ½)/(curve(KL) − ½), its share of what can be gained at all at its KL, changes slowly with KL. So the win rate
 * of a method's seed at a KL k is ½ + e(k)·(curve(k) − ½), with e(k) by `efficiencyAt` from the seed's policies, and the method's is the
 * mean over its seeds.
 *
 * An interval is mean ± t·√V, where the variance V is the sum of
 * - that over prompts, by bootstrap (Efron 1979): prompts are drawn with replacement, the same for every policy, so that what they
 *   have in common cancels in a difference; KL and win rate of every policy, and from them e(k), are computed anew;
 * - s²/S for each method with S > 1 seeds, with s the standard deviation of its seeds' e(k). The seeds of one method are
 *   independent of those of another. They are not drawn with replacement: of three, the widest interval that this gives goes from the
 *   least to the largest, which covers the truth only three times in four;
 *
 * and t is Student's for as many degrees of freedom as V is known with, by Welch and Satterthwaite (1946). What differs from prompt
 * to prompt in one seed only counts in both terms, which makes intervals a little wide. With one seed, an interval speaks of that one
 * training run, and says nothing of another.
 *
 * @param policies at least one; those whose KL is not above 0 have no efficiency, and give no value
 * @param curve the best win rate at a KL ≥ 0: above ½ for KL > 0; undefined beyond what is known of it
 * @param kls nats, each above 0
 * @throws InputError if policies differ in their number of prompts, have none, or a number that is not finite; or if a KL or an
 *   option is out of range
 */
export function compareAtKls(
  policies: readonly MeasuredPolicy[],
  curve: (kl: number) => number | undefined,
  kls: readonly number[],
  options: MatchedKlOptions,
): MatchedMethods[] {
  const { seed, resamples = 1000, confidence = 0.95 } = options;
  if (!(Number.isInteger(resamples) && resamples >= 1)) {
    throw new InputError(`the number of resamples must be a whole number of at least 1, not ${resamples}`);
  }
  if (!(confidence > 0 && confidence < 1)) {
    throw new InputError(`the confidence of an interval must be between 0 and 1, not ${confidence}`);
  }
  const wrongKl = kls.find((kl) => !(kl > 0 && kl < Infinity));
  if (wrongKl !== undefined) throw new InputError(`methods are compared at a KL above 0 (in nats), not at ${wrongKl}`);
  const prompts = countPrompts(policies);
  const everyPrompt = new Float64Array(prompts).fill(1);
  const methods = groupBySeed(policies).map(({ method, seeds }) => {
    const points = seeds.map((own) => pointsOf(own, everyPrompt, curve));
    return { method, seeds, atKls: kls.map((kl) => efficienciesAt(kl, points)) };
  });

  const nextWord = seededWords('matched-kl', 'prompts', seed, prompts);
  const counts = new Float64Array(prompts);
  for (let resample = 0; resample < resamples; resample++) {
    counts.fill(0);
    for (let draw = 0; draw < prompts; draw++) counts[(nextWord() * (prompts / 2 ** 32)) >>> 0]! += 1;
    for (const { seeds, atKls } of methods) {
      const points = seeds.map((own) => pointsOf(own, counts, curve));
      for (const { kl, known, resampled } of atKls) {
        // A seed that has a value has one in every resample, wherever its policies move in it.
        const values = known.map(({ place, value }) => efficiencyAt(points[place]!, kl, Infinity) ?? value);
        resampled[resample] = mean(values);
      }
    }
  }

  return kls.map((kl, k) => {
    const frontier = curve(kl);
    const gain = (frontier ?? 0.5) - 0.5;
    const cells = methods.map(({ method, atKls }) => ({ method, ...atKls[k]! }));
    const withValue = cells.filter(({ known }) => known.length > 0);
    return {
      kl,
      frontier,
      methods: cells.map(({ method, known, mean, resampled, seedVariance }) => {
        const none = { method, seeds: 0, efficiency: undefined, winRate: undefined };
        if (known.length === 0) return none;
        const efficiency = intervalOf(mean, resampled, [seedVariance]);
        return { method, seeds: known.length, efficiency, winRate: scaled(efficiency, gain, 0.5) };
      }),
      differences: withValue.flatMap((first, place) =>
        withValue.slice(place + 1).map((second) => {
          const resampled = first.resampled.map((value, i) => value - second.resampled[i]!);
          const seedVariances = [first.seedVariance, second.seedVariance];
          const difference = intervalOf(first.mean - second.mean, resampled, seedVariances);
          return { first: first.method, second: second.method, difference: scaled(difference, gain, 0) };
        }),
      ),
    };
  });

  /** What a method reaches at a KL: the efficiency of each seed that has one, and room for the mean in each resample. */
  function efficienciesAt(kl: number, points: readonly EfficiencyPoint[][]) {
    const known = points.flatMap((own, place) => {
      const value = curve(kl) === undefined ? undefined : efficiencyAt(own, kl, MATCHED_KL_REACH);
      return value === undefined ? [] : [{ place, value }];
    });
    const values = known.map(({ value }) => value);
    return {
      kl,
      known,
      mean: mean(values),
      seedVariance: { value: varianceOf(values) / values.length, degreesOfFreedom: values.length - 1 },
      resampled: new Float64Array(resamples),
    };
  }

  function intervalOf(mean: number, resampled: Float64Array, ofSeeds: readonly Variance[]): EstimateInterval {
    const parts = [{ value: varianceOf(resampled), degreesOfFreedom: prompts - 1 }, ...ofSeeds].filter(
      ({ value }) => value > 0,
    );
    const variance = parts.reduce((sum, { value }) => sum + value, 0);
    if (variance === 0) return { mean, low: mean, high: mean };
    const uncertainty = parts.reduce((sum, { value, degreesOfFreedom }) => sum + value ** 2 / degreesOfFreedom, 0);
    const halfWidth = studentBound(confidence, variance ** 2 / uncertainty) * Math.sqrt(variance);
    return { mean, low: mean - halfWidth, high: mean + halfWidth };
  }
}

/** A variance, and how well it is known. */
interface Variance {
  readonly value: number;
  readonly degreesOfFreedom: number;
}

/** The efficiency of a policy, and where it was measured. */
export interface EfficiencyPoint {
  /** Nats, above 0. */
  readonly kl: number;
  readonly efficiency: number;
}

/**
 * The efficiency at a KL of what was trained alike: linear in log KL between neighbouring policies, and beyond the first and
 * the last that policy's own.
 *
 * @param points in rising order of KL
 * @param kl nats, above 0
 * @param reach how far beyond the first and the last there is a value, as a part of that policy's KL
 * @returns undefined beyond that
 */
export function efficiencyAt(points: readonly EfficiencyPoint[], kl: number, reach: number): number | undefined {
  const next = points.findIndex((point) => point.kl >= kl);
  const above = points[next];
  const below = next === -1 ? points.at(-1) : points[next - 1];
  if (above !== undefined && below !== undefined) {
    const fraction = Math.log(kl / below.kl) / Math.log(above.kl / below.kl);
    return below.efficiency + fraction * (above.efficiency - below.efficiency);
  }
  const end = above ?? below;
  return end !== undefined && Math.abs(kl - end.kl) <= reach * end.kl ? end.efficiency : undefined;
}

interface Method {
  readonly method: string;
  /** The policies of each seed. */
  readonly seeds: readonly (readonly MeasuredPolicy[])[];
}

function groupBySeed(policies: readonly MeasuredPolicy[]): Method[] {
  const methods = new Map<string, Map<number | undefined, MeasuredPolicy[]>>();
  for (const policy of policies) {
    const seeds = methods.get(policy.method) ?? new Map<number | undefined, MeasuredPolicy[]>();
    methods.set(policy.method, seeds);
    const own = seeds.get(policy.seed);
    if (own === undefined) seeds.set(policy.seed, [policy]);
    else own.push(policy);
  }
  return [...methods].map(([method, seeds]) => ({ method, seeds: [...seeds.values()] }));
}

/** The efficiencies of policies where each prompt counts so many times, in rising order of KL. */
function pointsOf(
  policies: readonly MeasuredPolicy[],
  counts: Float64Array,
  curve: (kl: number) => number | undefined,
): EfficiencyPoint[] {
  const points: EfficiencyPoint[] = [];
  for (const { kls, winRates } of policies) {
    let kl = 0;
    let winRate = 0;
    for (let prompt = 0; prompt < counts.length; prompt++) {
      const count = counts[prompt]!;
      kl += count * kls[prompt]!;
      winRate += count * winRates[prompt]!;
    }
    kl /= counts.length;
    winRate /= counts.length;
    const limit = kl > 0 ? curve(kl) : undefined;
    if (limit !== undefined && limit > 0.5) points.push({ kl, efficiency: (winRate - 0.5) / (limit - 0.5) });
  }
  return points.sort((a, b) => a.kl - b.kl);
}

function scaled({ mean, low, high }: EstimateInterval, factor: number, offset: number): EstimateInterval {
  return { mean: offset + factor * mean, low: offset + factor * low, high: offset + factor * high };
}

/** 0 of a single value, which tells nothing of it. */
function varianceOf(values: ArrayLike<number>): number {
  const center = mean(values);
  let squares = 0;
  for (let i = 0; i < values.length; i++) squares += (values[i]! - center) ** 2;
  return squares / Math.max(1, values.length - 1);
}

function countPrompts(policies: readonly MeasuredPolicy[]): number {
  const prompts = policies[0]?.kls.length ?? 0;
  if (prompts === 0) throw new InputError('there are no policies, or no prompts, to compare at the same KL');
  for (const { method, kls, winRates } of policies) {
    if (kls.length !== prompts || winRates.length !== prompts) {
      throw new InputError(
        `a policy of ${method} was measured on ${kls.length} prompts (win rates on ${winRates.length}), another on ${prompts}: ` +
          'methods are compared on the same prompts',
      );
    }
    for (let i = 0; i < prompts; i++) {
      if (!Number.isFinite(kls[i]) || !Number.isFinite(winRates[i])) {
        throw new InputError(`a policy of ${method} has a KL or win rate on prompt ${i + 1} that is not finite`);
      }
    }
  }
  return prompts;
}
