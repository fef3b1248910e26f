import { describe, expect, it } from 'vitest';
import { studentBound } from './student.js';

describe('studentBound', () => {
  it.each([
    // Tables of Student's distribution, two-sided.
    [0.95, 3, 3.182446305],
    [0.95, 10, 2.228138852],
    [0.99, 5, 4.032142984],
    [0.9, 30, 1.697260887],
    [0.95, 95, 1.985251004],
    [0.95, 120, 1.979930405],
    [0.95, 1e6, 1.959966358], // z + (z³ + z)/4ν
  ])('is the tables’ value for %d and %d degrees of freedom', (probability, degreesOfFreedom, expected) => {
    expect(studentBound(probability, degreesOfFreedom) / expected).toBeCloseTo(1, 8);
  });

  it('is the closed form for one and two degrees of freedom', () => {
    for (const probability of [0.1, 0.5, 0.8, 0.95, 0.999]) {
      expect(studentBound(probability, 1) / Math.tan((Math.PI / 2) * probability)).toBeCloseTo(1, 9);
      const two = probability * Math.sqrt(2 / (1 - probability ** 2));
      expect(studentBound(probability, 2) / two).toBeCloseTo(1, 9);
    }
  });

  it.each([1.3, 2.5, 7.7, 99.9, 100.1, 4321.5])(
    'bounds the given share of the density for %d degrees of freedom',
    (nu) => {
      const bound = studentBound(0.95, nu);
      // The trapezoidal rule in x with t = sinh x, whose total is its own normaliser.
      const density = (t: number) => (1 + t ** 2 / nu) ** (-(nu + 1) / 2);
      const upTo = (end: number, steps = 200_000) => {
        const step = Math.asinh(end) / steps;
        let sum = 0;
        for (let i = 0; i <= steps; i++) {
          const x = i * step;
          sum += (i === 0 || i === steps ? 0.5 : 1) * density(Math.sinh(x)) * Math.cosh(x) * step;
        }
        return sum;
      };
      expect(upTo(bound) / upTo(1e12)).toBeCloseTo(0.95, 7);
    },
  );
});
