import { describe, expect, it } from 'vitest';
import { compareAtKls, efficiencyAt, type MeasuredPolicy } from './matched-kl.js';
import { seededRandom, type RandomSource } from './random.js';

/** Half of all that can be gained is gained at 0.5 nats; with the right steepness at 0. */
const curve = (kl: number): number => 0.5 + 0.5 * (1 - 2 ** -Math.sqrt(2 * kl));

const prompts = 60;

/** A policy that is the same on every prompt. */
function policy(method: string, seed: number, kl: number, efficiency: number): MeasuredPolicy {
  return {
    method,
    seed,
    kls: new Array<number>(prompts).fill(kl),
    winRates: new Array<number>(prompts).fill(0.5 + efficiency * (curve(kl) - 0.5)),
  };
}

const options = { seed: 'test', resamples: 200 };

describe('efficiencyAt', () => {
  const points = [
    { kl: 0.4, efficiency: 0.9 },
    { kl: 0.9, efficiency: 0.7 },
    { kl: 1.6, efficiency: 0.8 },
  ];

  it('is linear in log KL between neighbours', () => {
    expect(efficiencyAt(points, 0.6, 0)).toBeCloseTo(0.8, 12); // √(0.4 · 0.9)
    expect(efficiencyAt(points, 1.2, 0)).toBeCloseTo(0.75, 12); // √(0.9 · 1.6)
    for (const { kl, efficiency } of points) expect(efficiencyAt(points, kl, 0)).toBeCloseTo(efficiency, 12);
  });

  it('is that of the first and the last beyond them, as far as it is asked to reach', () => {
    expect(efficiencyAt(points, 0.3001, 0.25)).toBe(0.9);
    expect(efficiencyAt(points, 0.2999, 0.25)).toBeUndefined();
    expect(efficiencyAt(points, 1.9999, 0.25)).toBe(0.8);
    expect(efficiencyAt(points, 2.0001, 0.25)).toBeUndefined();
    expect(efficiencyAt(points, 1e-6, Infinity)).toBe(0.9);
    expect(efficiencyAt([], 1, Infinity)).toBeUndefined();
  });
});

describe('methods at the same KL', () => {
  it('have the win rates that their efficiencies give there, though no policy is there', () => {
    const policies = [
      policy('steady', 1, 0.43, 0.9),
      policy('steady', 1, 1.2, 0.9),
      policy('falling', 1, 1.15, 0.7 - 0.1 * Math.log(1.15)),
      policy('falling', 1, 0.55, 0.7 - 0.1 * Math.log(0.55)),
    ];
    // 0.5 lies below the first of `falling`, whose efficiency holds there.
    const atHalf = 0.7 - 0.1 * Math.log(0.55);
    const [half, one] = compareAtKls(policies, curve, [0.5, 1], options);
    expect(half!.frontier).toBe(0.75);
    expect(half!.methods.map(({ method, seeds }) => [method, seeds])).toEqual([
      ['steady', 1],
      ['falling', 1],
    ]);
    expect(half!.methods[0]!.winRate!.mean).toBeCloseTo(0.5 + 0.9 * 0.25, 12);
    expect(half!.methods[1]!.winRate!.mean).toBeCloseTo(0.5 + atHalf * 0.25, 12);
    expect(half!.differences).toHaveLength(1);
    expect(half!.differences[0]).toMatchObject({ first: 'steady', second: 'falling' });
    expect(half!.differences[0]!.difference.mean).toBeCloseTo((0.9 - atHalf) * 0.25, 12);
    expect(one!.methods[1]!.efficiency!.mean).toBeCloseTo(0.7, 12);
    expect(one!.differences[0]!.difference.mean).toBeCloseTo(0.2 * (curve(1) - 0.5), 12);
    // Where all prompts are the same there is nothing to resample.
    for (const { low, high, mean } of [one!.methods[0]!.winRate!, one!.differences[0]!.difference]) {
      expect(low).toBeCloseTo(mean, 12);
      expect(high).toBeCloseTo(mean, 12);
    }
  });

  it('are means over the seeds that come near, and their number is told', () => {
    const policies = [
      policy('a', 1, 0.5, 0.8),
      policy('a', 2, 0.6, 0.9),
      policy('a', 3, 1, 0.4),
      policy('b', 1, 1, 0.5),
    ];
    const [near, far] = compareAtKls(policies, curve, [0.5, 2], options);
    expect(near!.methods.map(({ seeds }) => seeds)).toEqual([2, 0]);
    expect(near!.methods[0]!.efficiency!.mean).toBeCloseTo(0.85, 12);
    expect(near!.methods[1]).toEqual({ method: 'b', seeds: 0, efficiency: undefined, winRate: undefined });
    expect(near!.differences).toEqual([]);
    expect(far!.methods.every(({ winRate }) => winRate === undefined)).toBe(true);
  });

  it('have no value where the curve is not known, nor where a policy did not move', () => {
    const short = (kl: number) => (kl <= 1 ? curve(kl) : undefined);
    const [beyond] = compareAtKls([policy('a', 1, 1, 0.8)], short, [1.1], options);
    expect(beyond).toMatchObject({ frontier: undefined, methods: [{ seeds: 0, winRate: undefined }] });
    const still = {
      method: 'still',
      seed: 1,
      kls: new Array<number>(prompts).fill(0),
      winRates: new Array<number>(prompts).fill(0.5),
    };
    const [both] = compareAtKls([still, policy('a', 1, 1, 0.8)], curve, [1], options);
    expect(both!.methods.map(({ seeds }) => seeds)).toEqual([0, 1]);
  });

  it('do not depend on which others there are, nor on the other KLs', () => {
    const random = seededRandom('others');
    const [a, b] = ['a', 'b'].map((method) => [1, 2].map((seed) => simulated(random, method, seed, 1, 0.8)));
    const alone = compareAtKls(b!, curve, [0.9], options)[0]!;
    const together = compareAtKls([...a!, ...b!], curve, [1.1, 0.9], options)[1]!;
    expect(together.methods[1]).toEqual(alone.methods[0]);
    expect(compareAtKls(b!, curve, [0.9], { ...options, seed: 'other' })[0]).not.toEqual(alone);
  });

  it('differ by less than either is uncertain where prompts make them win and lose together', () => {
    const random = seededRandom('paired');
    const difficulty = Array.from({ length: prompts }, () => 0.1 * random.normal());
    const of = (method: string, efficiency: number): MeasuredPolicy => {
      const even = policy(method, 1, 1, efficiency);
      return {
        ...even,
        winRates: difficulty.map((d, i) => (even.winRates[i] as number) + d + 0.003 * random.normal()),
      };
    };
    const [matched] = compareAtKls([of('a', 0.9), of('b', 0.85)], curve, [1], options);
    const width = ({ low, high }: { low: number; high: number }): number => high - low;
    const { difference } = matched!.differences[0]!;
    expect(width(difference)).toBeLessThan(0.1 * width(matched!.methods[0]!.winRate!));
    expect(difference.low).toBeGreaterThan(0);
  });

  it('take each policy’s KL from the prompts that were drawn, not only its win rate', () => {
    // Prompts that let a policy go further let it win more, along the curve: all have the same efficiency.
    const random = seededRandom('along');
    const line = (kl: number) => 0.5 + 0.2 * kl;
    const kls = Array.from({ length: prompts }, () => 1 + 0.3 * random.normal());
    const steady = { method: 'a', seed: 1, kls, winRates: kls.map((kl) => 0.5 + 0.8 * 0.2 * kl) };
    const [matched] = compareAtKls([steady], line, [1], options);
    expect(matched!.methods[0]!.efficiency!.low).toBeCloseTo(0.8, 10);
    expect(matched!.methods[0]!.efficiency!.high).toBeCloseTo(0.8, 10);
  });

  it.each([
    ['one seed, all of the uncertainty from prompts', 1, 0],
    ['three seeds that differ as much as prompts do', 3, 0.02],
    ['three seeds that differ by far more than prompts do', 3, 0.2],
  ])('have intervals that cover the truth nearly as often as they say: %s', (_name, seeds, deviation) => {
    const random = seededRandom('coverage', seeds, deviation);
    const trials = 240;
    const truth = { a: 0.9, b: 0.75 };
    const kl = 0.8;
    let [winRates, differences] = [0, 0];
    for (let trial = 0; trial < trials; trial++) {
      const difficulty = Array.from({ length: prompts }, () => random.normal());
      const policies = Object.entries(truth).flatMap(([method, efficiency]) =>
        Array.from({ length: seeds }, (_, seed) => {
          const own = efficiency + deviation * random.normal();
          return [0.7, 1.1].map((near) => simulated(random, method, seed, near, own, difficulty));
        }).flat(),
      );
      const [matched] = compareAtKls(policies, curve, [kl], { seed: trial, resamples: 250 });
      const covers = ({ low, high }: { low: number; high: number }, value: number): boolean =>
        low <= value && value <= high;
      const gain = curve(kl) - 0.5;
      if (covers(matched!.methods[0]!.winRate!, 0.5 + truth.a * gain)) winRates++;
      if (covers(matched!.differences[0]!.difference, (truth.a - truth.b) * gain)) differences++;
    }
    // Three standard deviations of the count, and what is known to be lacking of three seeds: 0.915 in 3000 trials of the last row.
    const least = 0.95 - 0.035 - 3 * Math.sqrt((0.95 * 0.05) / trials);
    expect(winRates / trials).toBeGreaterThan(least);
    expect(differences / trials).toBeGreaterThan(least);
  });

  it('compares every two of 20 methods, at 3 KLs with 3 seeds, 1000 resamples', { timeout: 60_000 }, () => {
    const random = seededRandom('sweep');
    const policies = Array.from({ length: 20 }, (_, method) =>
      [0.5, 1, 2].flatMap((kl) => [1, 2, 3].map((seed) => simulated(random, `m${method}`, seed, kl, 0.8))),
    ).flat();
    const matched = compareAtKls(policies, curve, [0.5, 1, 2], { seed: 1 });
    expect(matched[1]!.differences).toHaveLength((20 * 19) / 2);
  });

  it('refuses other prompts, no policies, numbers that are not finite, and options out of range', () => {
    const good = policy('a', 1, 1, 0.8);
    const compare =
      (policies: MeasuredPolicy[], kls = [1], rest = options) =>
      () =>
        compareAtKls(policies, curve, kls, rest);
    expect(compare([])).toThrow(/no policies/);
    expect(compare([good, { ...good, kls: [1, 2] }])).toThrow(/the same prompts/);
    expect(compare([{ ...good, winRates: Array.from(good.winRates, () => NaN) }])).toThrow(
      /prompt 1 that is not finite/,
    );
    expect(compare([good], [0])).toThrow(/above 0/);
    expect(compare([good], [1], { ...options, resamples: 0 })).toThrow(/resamples/);
  });
});

/** A policy with a true KL and efficiency, measured on prompts of which some are harder. */
function simulated(
  random: RandomSource,
  method: string,
  seed: number,
  near: number,
  efficiency: number,
  difficulty = Array.from({ length: prompts }, () => random.normal()),
): MeasuredPolicy {
  const kl = near * (1 + 0.05 * random.normal());
  const winRate = 0.5 + efficiency * (curve(kl) - 0.5);
  return {
    method,
    seed,
    kls: difficulty.map((d) => kl * (1 + 0.2 * d + 0.1 * random.normal())),
    winRates: difficulty.map((d) => winRate - 0.04 * d + 0.05 * random.normal()),
  };
}
