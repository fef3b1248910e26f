import { describe, expect, it } from 'vitest';
import { gaussLegendre } from './gauss-legendre.js';

describe('gaussLegendre', () => {
  it('integrates polynomials of degree 2n − 1 exactly', () => {
    for (const n of [2, 5, 16]) {
      const { nodes, weights } = gaussLegendre(n);
      for (let degree = 0; degree < 2 * n; degree++) {
        const sum = nodes.reduce((s, x, i) => s + (weights[i] as number) * x ** degree, 0);
        expect(sum).toBeCloseTo(degree % 2 === 0 ? 2 / (degree + 1) : 0, 13);
      }
    }
  });

  it('integrates polynomials of degree n − 1 exactly up to each node', () => {
    const n = 16;
    const { nodes, cumulative } = gaussLegendre(n);
    for (let degree = 0; degree < n; degree++) {
      nodes.forEach((end, i) => {
        const sum = nodes.reduce((s, x, j) => s + (cumulative[i * n + j] as number) * x ** degree, 0);
        expect(sum).toBeCloseTo((end ** (degree + 1) - (-1) ** (degree + 1)) / (degree + 1), 12);
      });
    }
  });
});
