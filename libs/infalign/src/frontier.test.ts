import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { alignedPolicy } from './aligned-policy.js';
import { bestOfPolicy, betaForKl, frontierCurve, frontierPoint, optimalTransformation } from './frontier.js';
import { InputError } from './input-error.js';
import { bestOf, kthBestOf, parseProcedure, standardProcedure, worstOf } from './procedure.js';
import { parseTransformation } from './parse-transformation.js';
import { theory } from './theory.js';
import type { Transformation } from './transformation.js';

describe('theory', () => {
  it('has the known win rates at KL = 0.5', () => {
    const known = {
      'bon:4': { identity: 0.7998, log: 0.7682, 'exp:5': 0.8566, 'exp:10': 0.8715, optimal: 0.8733 },
      'won:4': { identity: 0.886, log: 0.927, 'exp:-5': 0.9439, 'exp:-10': 0.9476, optimal: 0.9479 },
    };
    for (const [procedure, winRates] of Object.entries(known)) {
      for (const [transform, winRate] of Object.entries(winRates)) {
        const point = theory({ procedure, transform, kl: 0.5 });
        expect(Math.abs(point.winRate - winRate), `${procedure} ${transform}`).toBeLessThan(6e-5);
        expect(point).toMatchObject({ procedure, transform });
        expect(point.kl).toBeCloseTo(0.5, 8);
      }
    }
  });

  it('gives the same point by β and by KL', () => {
    for (const transform of ['identity', 'log', 'exp:10', 'exp:-5', 'optimal']) {
      for (const beta of [0.02, 0.5, 30]) {
        const byBeta = theory({ procedure: 'bon:4', transform, beta });
        const byKl = theory({ procedure: 'bon:4', transform, kl: byBeta.kl });
        expect(Math.abs(byKl.beta / beta - 1), `${transform} ${beta}`).toBeLessThan(1e-6);
        expect(byKl.winRate).toBeCloseTo(byBeta.winRate, 8);
        expect(byKl.standardWinRate).toBeCloseTo(byBeta.standardWinRate, 8);
      }
    }
  });

  it('finds the optimal transformation at a KL by solving no more than a dozen boundary-value problems', () => {
    for (const name of ['bon:32', 'won:32', 'kth:2/4', 'mix:bon:1@0.5+bon:4@0.5']) {
      const { orderStatistics } = parseProcedure(name);
      let solved = 0;
      // Every problem reads them once; the time of an answer goes into solving these.
      const counted = {
        name,
        get orderStatistics() {
          solved++;
          return orderStatistics;
        },
      };
      expect(frontierPoint(counted, 'optimal', { kl: 0.7 }).kl, name).toBeCloseTo(0.7, 8);
      expect(solved, name).toBeLessThanOrEqual(12);
    }
  });

  it('says what is wrong with a question', () => {
    const question = { procedure: 'bon:4', transform: 'identity' };
    expect(() => theory(question)).toThrow(/give a beta or a kl/);
    expect(() => theory({ ...question, beta: 1, kl: 1 })).toThrow(/either beta or kl/);
    for (const beta of [0, -1, NaN]) expect(() => theory({ ...question, beta })).toThrow(/β must be a number above 0/);
    for (const kl of [0, -1, NaN, Infinity]) expect(() => theory({ ...question, kl })).toThrow(/above 0/);
    expect(() => theory({ ...question, transform: 'best', kl: 1 })).toThrow(/unknown transformation/);
    expect(() => theory({ ...question, procedure: 'best', kl: 1 })).toThrow(/unknown inference-time procedure/);
  });
});

describe('betaForKl', () => {
  it('inverts the KL over its whole range', () => {
    for (const text of ['identity', 'log', 'exp:10', 'exp:-10']) {
      const transformation = parseTransformation(text);
      for (const kl of [1e-8, 1e-4, 0.1, 1, 5, 12]) {
        const beta = betaForKl(transformation, kl);
        expect(Math.abs(alignedPolicy(transformation.apply, beta).kl / kl - 1), `${text} ${kl}`).toBeLessThan(1e-7);
      }
    }
  });

  it('knows the limit of a transformation that is flat at its top', () => {
    const flat = custom((u) => Math.min(u, 0.75));
    expect(alignedPolicy(flat.apply, betaForKl(flat, 1.3)).kl).toBeCloseTo(1.3, 8);
    expect(() => betaForKl(flat, 1.5)).toThrow(InputError);
    expect(() => betaForKl(flat, 1.5)).toThrow(/does not exceed 1.386/); // ln 4
    expect(() => theory({ procedure: 'kth:8/32', transform: 'optimal', kl: 20 })).toThrow(/does not exceed \d/);
  });
});

describe('frontierCurve', () => {
  const kls = [0, 0.01, 0.1, 0.5, 1, 2];

  it('rises from one half with the KL, and for plain sampling is the identity', () => {
    const curve = frontierCurve(standardProcedure, kls);
    expect(curve[0]).toEqual({
      procedure: 'standard',
      transform: 'optimal',
      beta: Infinity,
      kl: 0,
      standardWinRate: 0.5,
      winRate: 0.5,
    });
    for (let i = 1; i < kls.length; i++) {
      const identity = theory({ procedure: 'standard', transform: 'identity', kl: kls[i] as number });
      expect(curve[i]?.winRate).toBeCloseTo(identity.winRate, 8);
      expect(curve[i]?.winRate).toBeGreaterThan(curve[i - 1]?.winRate as number);
    }
  });

  it('is the same point by point, in any order', () => {
    const curve = frontierCurve(bestOf(4), [2, 0.1, 0.5]);
    for (const point of curve) {
      expect(point.winRate).toBeCloseTo(theory({ procedure: 'bon:4', transform: 'optimal', kl: point.kl }).winRate, 9);
    }
    expect(curve.map((point) => Number(point.kl.toFixed(8)))).toEqual([2, 0.1, 0.5]);
  });

  it('has slope β: one more nat is worth what the penalty says', () => {
    for (const procedure of [bestOf(4), worstOf(4), kthBestOf(2, 4)]) {
      const [below, at, above] = frontierCurve(procedure, [0.699, 0.7, 0.701]);
      const slope = ((above?.winRate as number) - (below?.winRate as number)) / 0.002;
      expect(slope / (at?.beta as number)).toBeCloseTo(1, 4);
    }
  });

  it('refuses a negative KL', () => {
    expect(() => frontierCurve(bestOf(4), [-0.1])).toThrow(/above 0/);
  });
});

describe('the optimal transformation', () => {
  const procedures = [
    'standard',
    'bon:2',
    'bon:4',
    'bon:32',
    'won:2',
    'won:4',
    'won:32',
    'kth:2/4',
    'mix:won:4@0.5+bon:4@0.5',
  ];

  it('is not beaten by the transformations of the paper at the same KL', () => {
    for (const text of procedures) {
      const procedure = parseProcedure(text);
      for (const kl of [0.05, 0.8]) {
        const best = frontierPoint(procedure, 'optimal', { kl }).winRate;
        for (const transform of ['identity', 'log', 'exp:5', 'exp:10', 'exp:-5', 'exp:-10']) {
          const other = frontierPoint(procedure, parseTransformation(transform), { kl }).winRate;
          expect(other, `${text} ${transform} KL ${kl}`).toBeLessThan(best + 1e-8);
        }
        const n = Math.exp(kl + 1);
        expect(bestOfPolicy(n, procedure).winRate).toBeLessThan(
          frontierPoint(procedure, 'optimal', { kl: bestOfPolicy(n, procedure).kl }).winRate + 1e-8,
        );
      }
    }
  });

  it('is not beaten by any of a random family at the same KL', () => {
    const coefficient = fc.double({ min: 0, max: 3, noNaN: true });
    fc.assert(
      fc.property(
        fc.constantFrom(...procedures),
        fc.constantFrom(0.1, 0.5, 1),
        fc.tuple(coefficient, coefficient, coefficient, fc.double({ min: -1, max: 1, noNaN: true })),
        fc.double({ min: 0.2, max: 20, noNaN: true }),
        fc.double({ min: 1, max: 9, noNaN: true }),
        (text, kl, [a, b, c, d], power, frequency) => {
          const procedure = parseProcedure(text);
          const phi = (u: number) =>
            (0.01 + a) * u + b * u ** power - c * (1 - u) ** power + d * Math.sin(frequency * u);
          const best = frontierPoint(procedure, 'optimal', { kl }).winRate;
          expect(frontierPoint(procedure, custom(phi), { kl }).winRate).toBeLessThan(best + 1e-8);
        },
      ),
      { seed: 6, numRuns: 40 },
    );
  });

  it('gets worse, in the second order, with any small change of it at the same KL', () => {
    for (const text of ['bon:4', 'won:4', 'kth:2/4', 'mix:won:4@0.5+bon:4@0.5']) {
      const procedure = parseProcedure(text);
      const kl = 0.5;
      const { transformation } = optimalTransformation(procedure, { kl });
      const { apply, standardDeviation } = transformation;
      const best = frontierPoint(procedure, transformation, { kl }).winRate;
      expect(best).toBeCloseTo(frontierPoint(procedure, 'optimal', { kl }).winRate, 7);
      for (const change of [Math.sin, (u: number) => Math.cos(7 * u)]) {
        const loss = (size: number) => {
          const changed = custom((u) => apply(u) + size * standardDeviation * change(u), standardDeviation);
          return best - frontierPoint(procedure, changed, { kl }).winRate;
        };
        const far = [loss(0.06), loss(-0.06)] as const;
        const near = [loss(0.03), loss(-0.03)] as const;
        for (const one of [...far, ...near]) expect(one, text).toBeGreaterThan(0);
        const growth = (far[0] + far[1]) / (near[0] + near[1]);
        expect(growth, text).toBeGreaterThan(3.4);
        expect(growth, text).toBeLessThan(4.6);
      }
    }
  });

  it('is a transformation like the others: normalised, finite, increasing', () => {
    for (const text of ['bon:4', 'won:32']) {
      const { transformation, beta } = optimalTransformation(parseProcedure(text), { kl: 0.3 });
      const { apply, normalised, mean, standardDeviation } = transformation;
      expect(transformation.name).toBe(`optimal(${text}, beta=${beta})`);
      let sum = 0;
      let squares = 0;
      const cells = 20_000;
      for (let i = 0; i < cells; i++) {
        const value = normalised((i + 0.5) / cells);
        sum += value / cells;
        squares += value ** 2 / cells;
        expect(apply((i + 1) / cells)).toBeGreaterThan(apply(i / cells) - 1e-12 * standardDeviation);
      }
      expect(sum).toBeCloseTo(0, 4);
      expect(squares).toBeCloseTo(1, 3);
      expect(apply(0)).toBe(0);
      expect(Number.isFinite(mean / standardDeviation)).toBe(true);
    }
  });
});

describe('bestOfPolicy', () => {
  it('has its closed forms, and is the log transformation at β = 1/(n − 1)', () => {
    for (const n of [1, 1.5, 2, 4, 100]) {
      const policy = bestOfPolicy(n, bestOf(8));
      expect(policy.kl).toBeCloseTo(Math.log(n) - (n - 1) / n, 14);
      expect(policy.standardWinRate).toBeCloseTo(n / (n + 1), 14);
      expect(policy.winRate).toBeCloseTo(n / (n + 1), 10);
      if (n > 1)
        expect(theory({ procedure: 'won:4', transform: 'log', beta: 1 / (n - 1) }).kl).toBeCloseTo(policy.kl, 9);
    }
    // Worst-of-2 of F = u²: 2∫(1 − u²)²(1 − u) du = 2·(8/15 − 1/6).
    expect(bestOfPolicy(2, worstOf(2)).winRate).toBeCloseTo(2 * (8 / 15 - 1 / 6), 12);
    expect(() => bestOfPolicy(0.5, bestOf(1))).toThrow(InputError);
  });
});

function custom(phi: (u: number) => number, standardDeviation = 1): Transformation {
  return { name: 'custom', apply: phi, mean: 0, standardDeviation, normalised: phi };
}
