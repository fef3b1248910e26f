import fc from 'fast-check';
import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { biasKl, fitAdditiveReward, missedByTokens } from './additive-reward.mjs';

/** Responses to prompts, whose rewards are a sum over their tokens, another mean for every prompt, and noise. */
function simulated(noise) {
  const random = seededRandom('additive-reward', 1);
  const weights = [0, 1, -2, 0.5, 3, 0, 0, -1];
  const prompts = Array.from({ length: 20 }, () => {
    const mean = 10 * random.normal();
    const responses = Array.from({ length: 60 }, () =>
      Int32Array.from({ length: 6 + random.integer(3) }, () => random.integer(weights.length)),
    );
    const rewards = responses.map(
      (response) => mean + noise * random.normal() + response.reduce((sum, token) => sum + weights[token], 0),
    );
    return { responses, rewards };
  });
  return { weights, prompts };
}

const sum = (values) => values.reduce((a, b) => a + b, 0);

/** R² by tokens, over prompts. */
function explained(prompts, weights) {
  const parts = prompts.map((prompt) => missedByTokens(prompt, weights));
  return 1 - sum(parts.map(({ missed }) => missed)) / sum(parts.map(({ all }) => all));
}

describe('a reward that is a sum over tokens', () => {
  it('is found whatever the means of its prompts, and explains all', () => {
    const { weights, prompts } = simulated(0);
    const fitted = fitAdditiveReward(prompts, { vocabulary: 8, ridge: 0 });
    // Without the means of prompts, what all tokens have in common is not known: it only says which response is longer.
    const centred = (values) => Array.from(values, (value) => value - sum(Array.from(values)) / values.length);
    const expected = centred(weights);
    centred(fitted.weights).forEach((weight, token) =>
      expect(weight, `token ${token}`).toBeCloseTo(expected[token], 0.5),
    );
    expect(explained(prompts, weights)).toBeCloseTo(1, 10);
    expect(explained(prompts, fitted.weights)).toBeGreaterThan(0.98);
    expect(explained(prompts, new Float64Array(8))).toBe(0);
  });

  it('explains what the noise leaves', () => {
    const { weights, prompts } = simulated(4);
    const own = fitAdditiveReward(prompts, { vocabulary: 8, ridge: 5 });
    // Token weights have the variance 1.83 a token, some 7 tokens a response: 13.1 of 29.1.
    expect(explained(prompts, own.weights)).toBeGreaterThan(0.38);
    expect(explained(prompts, own.weights)).toBeLessThan(0.52);
    expect(explained(prompts, weights)).toBeGreaterThan(0.38);
    expect(own.deviation).toBeGreaterThan(4.9);
    expect(own.deviation).toBeLessThan(5.9);
  });

  it('has smaller weights the larger λ is, in the closed form where each response is one token', () => {
    const prompts = [{ responses: [[0], [0], [1]], rewards: [4, 2, 0] }];
    const { weights } = fitAdditiveReward(prompts, { vocabulary: 3, ridge: 1 });
    // The mean is 2: token 0 has 2 and 0, token 1 −2.
    expect(Array.from(weights)).toEqual([2 / 3, -1, 0]);
  });
});

describe('the KL of a bias', () => {
  it('is the sum over distributions of Σ q log(q/π), and 0 of a constant', () => {
    const rows = fc.array(fc.array(fc.double({ min: 0.05, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 }), {
      minLength: 1,
      maxLength: 3,
    });
    const biases = fc.array(fc.double({ min: -3, max: 3, noNaN: true }), { minLength: 4, maxLength: 4 });
    const check = (given, bias) => {
      const normalised = (row) => row.map((value) => value / sum(row));
      const distributions = given.map(normalised);
      const logs = distributions.flat().map(Math.log);
      const expected = sum(
        distributions.map((row) => {
          const tilted = normalised(row.map((p, token) => p * Math.exp(bias[token])));
          return sum(tilted.map((q, token) => q * Math.log(q / row[token])));
        }),
      );
      expect(biasKl(logs, bias)).toBeCloseTo(expected, 10);
      expect(biasKl(logs, [1.5, 1.5, 1.5, 1.5])).toBeCloseTo(0, 10);
    };
    fc.assert(fc.property(rows, biases, check), { seed: 1 });
  });
});
