import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignedPolicy } from './aligned-policy.js';
import { calibrateReward, countTies, sortedReferences } from './calibration.js';
import { optimalTransformation } from './frontier.js';
import { gaussLegendre } from './gauss-legendre.js';
import { InputError } from './input-error.js';
import { parseTransformation } from './parse-transformation.js';
import { parseProcedure } from './procedure.js';
import {
  exponentialBias,
  exponentialTransformation,
  identityTransformation,
  logTransformation,
  normalisedBeta,
  rawBeta,
  transformEstimate,
} from './transformation.js';

/** ∫_0^1, graded towards both ends. */
function integrate(integrand: (u: number) => number): number {
  const rule = gaussLegendre(10);
  const breaks = [0];
  for (let k = 40; k >= 1; k--) breaks.push(2 ** -k);
  for (let k = 2; k <= 40; k++) breaks.push(1 - 2 ** -k);
  breaks.push(1);
  let sum = 0;
  for (let i = 1; i < breaks.length; i++) {
    const left = breaks[i - 1] as number;
    const half = ((breaks[i] as number) - left) / 2;
    rule.nodes.forEach((x, j) => (sum += half * (rule.weights[j] as number) * integrand(left + half * (1 + x))));
  }
  return sum;
}

describe('transformations', () => {
  it('have the mean and standard deviation that integration finds', () => {
    for (const text of ['identity', 'log', 'exp:5', 'exp:10', 'exp:-5', 'exp:-10', 'exp:0.5', 'exp:-2.5', 'exp:40']) {
      const { apply, mean, standardDeviation } = parseTransformation(text);
      const expectedMean = integrate(apply);
      const expectedDeviation = Math.sqrt(integrate((u) => (apply(u) - expectedMean) ** 2));
      expect(Math.abs(mean / expectedMean - 1), text).toBeLessThan(1e-9);
      expect(Math.abs(standardDeviation / expectedDeviation - 1), text).toBeLessThan(1e-9);
    }
  });

  it('are normalised to mean 0 and variance 1, for exponents from tiny to huge', () => {
    for (const text of [
      'identity',
      'log',
      'exp:1e-8',
      'exp:-1e-4',
      'exp:0.9',
      'exp:1.1',
      'exp:2.1',
      'exp:-10',
      'exp:700',
      'exp:-700',
    ]) {
      const { normalised } = parseTransformation(text);
      expect(Math.abs(integrate(normalised)), text).toBeLessThan(1e-9);
      expect(Math.abs(integrate((u) => normalised(u) ** 2) - 1), text).toBeLessThan(1e-8);
      expect(normalised(0.7)).toBeGreaterThan(normalised(0.2) - 1e-15);
    }
  });

  it('agree, raw and normalised, about the same Φ', () => {
    for (const text of ['identity', 'log', 'exp:5', 'exp:-10', 'exp:300']) {
      const { apply, normalised, mean, standardDeviation } = parseTransformation(text);
      for (const u of [0.01, 0.3, 0.99, 1]) expect(normalised(u)).toBeCloseTo((apply(u) - mean) / standardDeviation, 9);
    }
  });

  it('turn into the identity as the exponent vanishes', () => {
    for (const t of [1e-9, -1e-9]) {
      const { normalised } = exponentialTransformation(t);
      for (const u of [0, 0.25, 1]) expect(normalised(u)).toBeCloseTo(identityTransformation.normalised(u), 7);
    }
  });

  it('convert β between the raw and the normalised scale', () => {
    const transformation = exponentialTransformation(10);
    expect(normalisedBeta(transformation, rawBeta(transformation, 0.4))).toBeCloseTo(0.4, 14);
    expect(rawBeta(transformation, 1)).toBe(transformation.standardDeviation);
  });
});

describe('parseTransformation', () => {
  it('reads what it names', () => {
    for (const text of ['identity', 'log', 'exp:10', 'exp:-10', 'exp:0.5']) {
      expect(parseTransformation(text).name).toBe(text);
    }
    expect(parseTransformation(' exp:1e1 ').apply(0.5)).toBeCloseTo(Math.exp(5), 10);
    expect(parseTransformation('exp:-10').apply(0.5)).toBeCloseTo(-Math.exp(-5), 14);
  });

  it('reads the best transformation for a procedure at a KL', () => {
    const { name, apply, normalised } = parseTransformation('fp:0.5:bon:4');
    expect(name).toBe('fp:0.5:bon:4');
    const { transformation, beta } = optimalTransformation(parseProcedure('bon:4'), { kl: 0.5 });
    expect(apply(0.8)).toBe(transformation.apply(0.8));
    expect(integrate((u) => normalised(u) ** 2)).toBeCloseTo(1, 6);
    expect(alignedPolicy(apply, beta).winRate(parseProcedure('bon:4'))).toBeCloseTo(0.8733, 4);
    expect(() => parseTransformation('fp:0.5:best')).toThrow(/unknown inference-time procedure/);
    expect(() => parseTransformation('fp:0:bon:4')).toThrow(/KL must be a number above 0/);
  });

  it('says what is allowed', () => {
    for (const text of ['', 'exp', 'exp:', 'exp:x', 'ln', 'exp:1x', 'optimal', 'exp:0x10']) {
      expect(() => parseTransformation(text), text).toThrow(InputError);
      expect(() => parseTransformation(text), text).toThrow(/identity, log, exp:T/);
    }
    // A folder is named alike for exp:-10, and for exp:1e-1.
    for (const text of ['exp:+10', 'exp:1e+1', 'fp:+0.5:bon:4']) {
      expect(() => parseTransformation(text), text).toThrow(/numbers have no plus sign/);
    }
    for (const text of ['exp:0', 'exp:701', 'exp:-1e9']) {
      expect(() => parseTransformation(text), text).toThrow(/above 0.*below 0/);
    }
  });
});

describe('transformEstimate', () => {
  it('keeps log finite at 0, in order, and leaves the rest alone', () => {
    expect(transformEstimate(logTransformation, 0, 100)).toBe(Math.log(1 / 200));
    expect(transformEstimate(logTransformation, 0, 100, { normalised: true })).toBe(1 + Math.log(1 / 200));
    expect(transformEstimate(logTransformation, 0.01, 100)).toBe(Math.log(0.01));
    expect(transformEstimate(identityTransformation, 0, 100)).toBe(0);
    expect(transformEstimate(exponentialTransformation(10), 0, 8)).toBe(1);
  });

  it('chooses the floor of log close to the geometric mean of C given that no reference was beaten', () => {
    // C given Ĉ = 0 under a uniform prior has density (K + 1)(1 − C)^K.
    const references = 50;
    const expected = integrate((c) => (references + 1) * (1 - c) ** references * Math.log(c));
    expect(Math.abs(transformEstimate(logTransformation, 0, references) - expected)).toBeLessThan(0.15);
  });

  it('refuses what is no empirical calibrated reward, and a correction that does not exist', () => {
    for (const bad of [-0.1, 1.01, NaN]) {
      expect(() => transformEstimate(identityTransformation, bad, 10)).toThrow(/from 0 to 1/);
    }
    for (const bad of [0, 1.5, NaN])
      expect(() => transformEstimate(identityTransformation, 0.5, bad)).toThrow(InputError);
    expect(() => transformEstimate(logTransformation, 0.5, 10, { corrected: true })).toThrow(/identity and exp:T only/);
  });
});

/** E over K·Ĉ ~ Binomial(K, C), term by term. */
function binomialMean(references: number, c: number, value: (calibratedReward: number) => number): number {
  let probability = (1 - c) ** references;
  let mean = 0;
  for (let wins = 0; wins <= references; wins++) {
    mean += probability * value(wins / references);
    probability *= ((references - wins) / (wins + 1)) * (c / (1 - c));
  }
  return mean;
}

describe('the finite-K bias of exp', () => {
  it('has the known values at C = ½, t = 10', () => {
    expect(exponentialBias(10, 0.5, 8)).toBeCloseTo(4.35, 2);
    expect(exponentialBias(10, 0.5, 32)).toBeCloseTo(1.48, 2);
    expect(exponentialBias(10, 0.5, 100)).toBeCloseTo(1.13, 2);
    expect(exponentialBias(10, 0.5, 300)).toBeCloseTo(1.04, 2);
  });

  it('is what the binomial distribution of wins gives', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 60 }),
        fc.double({ min: 0.02, max: 0.98, noNaN: true }),
        fc.double({ min: -12, max: 12, noNaN: true }),
        (references, c, t) => {
          const mean = binomialMean(references, c, (chat) => Math.exp(t * chat));
          expect(Math.abs(exponentialBias(t, c, references) / (mean / Math.exp(t * c)) - 1)).toBeLessThan(1e-9);
        },
      ),
      { seed: 5 },
    );
  });

  it('is removed by the correction, for best-of-N and worst-of-N exponents', () => {
    for (const t of [10, 5, -5, -10]) {
      const transformation = exponentialTransformation(t);
      for (const c of [0.1, 0.5, 0.9, 0.97]) {
        const corrected = binomialMean(32, c, (chat) =>
          transformEstimate(transformation, chat, 32, { corrected: true }),
        );
        expect(Math.abs(corrected / transformation.apply(c) - 1), `${t} ${c}`).toBeLessThan(1e-6);
        const plain = binomialMean(32, c, (chat) => transformEstimate(transformation, chat, 32));
        if (t === 10 && c === 0.5) expect(plain / transformation.apply(c)).toBeGreaterThan(1.4);
      }
    }
  });

  it('is removed where rewards tie, too', () => {
    const references = 40;
    for (const t of [10, -5]) {
      const transformation = exponentialTransformation(t);
      // Rewards are 0 or 1, as those of a judge that says yes or no.
      for (const [reward, ones] of [
        [1, 0.5],
        [1, 0.9],
        [0, 0.5],
      ] as const) {
        const corrected = binomialMean(references, ones, (share) => {
          const count = Math.round(share * references);
          const sorted = sortedReferences(Array.from({ length: references }, (_, i) => (i < count ? 1 : 0)));
          const ties = countTies(reward, sorted);
          expect(ties).toBe(reward === 1 ? count : references - count);
          return transformEstimate(transformation, calibrateReward(reward, sorted), references, {
            corrected: true,
            ties,
          });
        });
        const c = reward === 1 ? 1 - ones + ones / 2 : (1 - ones) / 2;
        expect(Math.abs(corrected / transformation.apply(c) - 1), `${t} ${reward} ${ones}`).toBeLessThan(1e-6);
      }
    }
    expect(() => transformEstimate(exponentialTransformation(1), 0.5, 4, { corrected: true, ties: 3 })).toThrow(
      '3 ties do not fit 4 half wins among 4 references',
    );
  });

  it('is corrected on the normalised scale and for ties alike', () => {
    const transformation = exponentialTransformation(5);
    const at = (chat: number, normalised: boolean) =>
      transformEstimate(transformation, chat, 10, { corrected: true, normalised });
    expect(at(0.35, false)).toBeCloseTo((at(0.3, false) + at(0.4, false)) / 2, 12);
    expect(at(0.3, true)).toBeCloseTo((at(0.3, false) - transformation.mean) / transformation.standardDeviation, 12);
    expect(at(0, false)).toBe(1);
  });
});
