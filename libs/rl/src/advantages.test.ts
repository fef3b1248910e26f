import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generalisedAdvantages, leaveOneOutAdvantages, returnsToGo, whiten } from './advantages.js';

const numbers = fc.array(fc.double({ min: -10, max: 10, noNaN: true }), { minLength: 1, maxLength: 12 });

function expectClose(actual: ArrayLike<number>, expected: readonly number[], digits = 10): void {
  expect(actual.length).toBe(expected.length);
  expected.forEach((value, index) => expect(actual[index]).toBeCloseTo(value, digits));
}

describe('generalisedAdvantages', () => {
  it('equals the recursion worked by hand', () => {
    // δ = [1 + .9·.4 − .5, 0 + .9·.3 − .4, 2 − .3] = [.86, −.13, 1.7]; γλ = .72
    // A_2 = 1.7, A_1 = −.13 + .72·1.7 = 1.094, A_0 = .86 + .72·1.094 = 1.64768
    const { advantages, returns } = generalisedAdvantages([1, 0, 2], [0.5, 0.4, 0.3], {
      discount: 0.9,
      gaeLambda: 0.8,
    });
    expectClose(advantages, [1.64768, 1.094, 1.7]);
    expectClose(returns, [2.14768, 1.494, 2]);
  });

  it('is the one-step temporal difference at λ = 0', () => {
    const { advantages } = generalisedAdvantages([0, 0, 5], [1, 2, 4], { discount: 1, gaeLambda: 0 });
    expectClose(advantages, [1, 2, 1]);
  });

  it('is the return-to-go less the value at λ = 1, whatever the values', () => {
    fc.assert(
      fc.property(numbers, fc.integer(), (rewards, seed) => {
        const values = rewards.map((_, t) => Math.sin(seed + t));
        const { advantages, returns } = generalisedAdvantages(rewards, values, { discount: 1, gaeLambda: 1 });
        const toGo = returnsToGo(rewards);
        expectClose(returns, Array.from(toGo), 8);
        expectClose(
          advantages,
          Array.from(toGo, (value, t) => value - values[t]!),
          8,
        );
      }),
      { seed: 1 },
    );
  });

  it('refuses shapes that differ and parameters out of range', () => {
    expect(() => generalisedAdvantages([1], [1, 2], { discount: 1, gaeLambda: 1 })).toThrow(/shape/);
    expect(() => generalisedAdvantages([1], [1], { discount: 1.1, gaeLambda: 1 })).toThrow(/\[0, 1\]/);
    expect(() => generalisedAdvantages([1], [1], { discount: 1, gaeLambda: Number.NaN })).toThrow(/\[0, 1\]/);
  });
});

describe('leaveOneOutAdvantages', () => {
  it('equals the baseline worked by hand, a shorter rollout counting with its last reward', () => {
    // G = [3, 2], [5], [1, 4]. At t = 0 the others' means are 3, 2, 4; at t = 1 they are 4.5, –, 3.5.
    const [a, b, c] = leaveOneOutAdvantages([[1, 2], [5], [-3, 4]]);
    expectClose(a!.advantages, [0, -2.5]);
    expectClose(b!.advantages, [3]);
    expectClose(c!.advantages, [-3, 0.5]);
    expectClose(c!.returns, [1, 4]);
  });

  it('sums to zero over the rollouts of a prompt at the first position', () => {
    fc.assert(
      fc.property(fc.array(numbers, { minLength: 2, maxLength: 6 }), (rewards) => {
        const sum = leaveOneOutAdvantages(rewards).reduce((total, { advantages }) => total + advantages[0]!, 0);
        expect(sum).toBeCloseTo(0, 8);
      }),
      { seed: 2 },
    );
  });

  it('does not change when every rollout of the prompt gets the same bonus at its end', () => {
    const plain = leaveOneOutAdvantages([[1, 2], [5], [-3, 4]]);
    const shifted = leaveOneOutAdvantages([[1, 12], [15], [-3, 14]]);
    plain.forEach(({ advantages }, i) => expectClose(shifted[i]!.advantages, Array.from(advantages)));
  });

  it('refuses a lone rollout and an empty one', () => {
    expect(() => leaveOneOutAdvantages([[1]])).toThrow(/at least 2/);
    expect(() => leaveOneOutAdvantages([[1], []])).toThrow(/without tokens/);
  });
});

describe('whiten', () => {
  it('gives mean 0 and variance 1', () => {
    fc.assert(
      fc.property(numbers, (values) => {
        fc.pre(Math.max(...values) - Math.min(...values) > 0.1);
        const whitened = whiten(values);
        const mean = whitened.reduce((sum, value) => sum + value, 0) / values.length;
        const variance = whitened.reduce((sum, value) => sum + value * value, 0) / values.length;
        expect(mean).toBeCloseTo(0, 9);
        expect(variance).toBeCloseTo(1, 4);
      }),
      { seed: 3 },
    );
    expectClose(whiten([1, 3]), [-1, 1], 6);
  });

  it('gives zeros for constant input', () => {
    expectClose(whiten([2, 2, 2]), [0, 0, 0]);
    expectClose(whiten([]), []);
  });
});
