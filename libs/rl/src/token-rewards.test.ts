import { describe, expect, it } from 'vitest';
import { tokenRewards } from './token-rewards.js';

describe('tokenRewards', () => {
  it('penalises every token and rewards the last, as worked by hand', () => {
    const rewards = tokenRewards([-1, -2, -0.5], [-1.5, -1, -0.5], 2, 0.1);
    [-0.05, 0.1, 2].forEach((expected, t) => expect(rewards[t]).toBeCloseTo(expected, 12));
  });

  it('sums to the transformed reward less β times the log ratio of the response', () => {
    const rewards = tokenRewards([-1, -3], [-2, -2.5], -0.7, 0.4);
    expect(rewards.reduce((sum, reward) => sum + reward, 0)).toBeCloseTo(-0.7 - 0.4 * (-4 + 4.5), 12);
  });

  it('refuses shapes that differ, an empty response and a reward that is not finite', () => {
    expect(() => tokenRewards([-1], [-1, -2], 0, 1)).toThrow(/shape/);
    expect(() => tokenRewards([], [], 0, 1)).toThrow(/without tokens/);
    expect(() => tokenRewards([-1], [-1], Number.NaN, 1)).toThrow(/finite/);
  });
});
