import { describe, expect, it } from 'vitest';
import { bracketedRoot } from './bracketed-root.js';

describe('bracketedRoot', () => {
  it('finds the roots of smooth, flat and steep functions', () => {
    expect(bracketedRoot(Math.cos, 0, 3, 1e-14)).toBeCloseTo(Math.PI / 2, 13);
    expect(bracketedRoot((x) => x ** 9, -1, 1.7, 1e-12)).toBeCloseTo(0, 10);
    expect(bracketedRoot((x) => Math.tanh(1e6 * (x - 0.3)), -500, 500, 1e-13)).toBeCloseTo(0.3, 12);
    expect(bracketedRoot((x) => (x < 2 ? -1 : Infinity), 0, 10, 1e-12)).toBeCloseTo(2, 10);
  });

  it('needs few evaluations on a smooth function', () => {
    let evaluations = 0;
    bracketedRoot(
      (x) => {
        evaluations++;
        return Math.exp(x) - 2;
      },
      -2,
      3,
      1e-13,
    );
    expect(evaluations).toBeLessThan(16);
  });

  it('takes a root at an end, and refuses a bracket without a sign change', () => {
    expect(bracketedRoot((x) => x, 0, 1, 1e-12)).toBe(0);
    expect(bracketedRoot((x) => x, -1, 0, 1e-12)).toBe(0);
    expect(() => bracketedRoot((x) => x * x + 1, -1, 1, 1e-12)).toThrow(/no sign change/);
  });
});
