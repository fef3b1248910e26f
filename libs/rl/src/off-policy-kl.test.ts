import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { offPolicyKl } from './off-policy-kl.js';

describe('offPolicyKl', () => {
  it('is the mean sum where both policies are the same', () => {
    expect(offPolicyKl([[0.1, 0.2], [0.4]], [[0, 0], [0]])).toBeCloseTo(0.35, 12);
    expect(offPolicyKl([], [])).toBeNaN();
  });

  it('finds the KL of a two-step policy from samples of the reference', () => {
    // First token: πref says 1 with ½, π with 0.8. After a 1 comes a token that π says with 0.9 instead of ½, after a 0 the end.
    const binary = (p: number): number => p * Math.log(2 * p) + (1 - p) * Math.log(2 * (1 - p));
    const expected = binary(0.8) + 0.8 * binary(0.9);
    const random = seededRandom('off-policy', 1);
    const [kls, ratios]: [number[][], number[][]] = [[], []];
    for (let rollout = 0; rollout < 20_000; rollout++) {
      const first = random.uniform() < 0.5;
      const second = random.uniform() < 0.5;
      const ratio = (said: boolean, p: number): number => Math.log(2 * (said ? p : 1 - p));
      kls.push(first ? [binary(0.8), binary(0.9)] : [binary(0.8)]);
      ratios.push(first ? [ratio(first, 0.8), ratio(second, 0.9)] : [ratio(first, 0.8)]);
    }
    expect(offPolicyKl(kls, ratios)).toBeCloseTo(expected, 2);
    const unweighted = kls.reduce((sum, each) => sum + each.reduce((a, b) => a + b), 0) / kls.length;
    expect(Math.abs(unweighted - expected)).toBeGreaterThan(0.1);
  });
});
