/** Gauss–Legendre quadrature on [−1, 1], with the integrals from −1 to each node beside the whole one. */
export interface GaussLegendre {
  readonly nodes: Float64Array;
  readonly weights: Float64Array;
  /** Row i: weights of ∫ from −1 to node i, exact for the polynomial through the nodes' values; row-major, n × n. */
  readonly cumulative: Float64Array;
}

/** The rule with n nodes: exact for polynomials of degree 2n − 1. */
export function gaussLegendre(n: number): GaussLegendre {
  const nodes = new Float64Array(n);
  const weights = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let x = -Math.cos((Math.PI * (i + 0.75)) / (n + 0.5));
    let slope = 1;
    for (let newton = 0; newton < 10; newton++) {
      const p = legendre(n, x);
      slope = (n * (x * (p[n] as number) - (p[n - 1] as number))) / (x * x - 1);
      x -= (p[n] as number) / slope;
    }
    nodes[i] = x;
    weights[i] = 2 / ((1 - x * x) * slope * slope);
  }
  // The polynomial through the values is Σ_j v_j w_j Σ_k (2k+1)/2 P_k(x_j) P_k(x), and ∫ P_k = (P_{k+1} − P_{k−1})/(2k+1).
  const values = Array.from(nodes, (x) => legendre(n, x));
  const cumulative = new Float64Array(n * n);
  for (let i = 0; i < n; i++) {
    const at = values[i] as Float64Array;
    for (let j = 0; j < n; j++) {
      let sum = ((nodes[i] as number) + 1) / 2;
      for (let k = 1; k < n; k++) {
        sum += (((values[j] as Float64Array)[k] as number) * ((at[k + 1] as number) - (at[k - 1] as number))) / 2;
      }
      cumulative[i * n + j] = (weights[j] as number) * sum;
    }
  }
  return { nodes, weights, cumulative };
}

/** P_0(x) … P_n(x). */
function legendre(n: number, x: number): Float64Array {
  const p = new Float64Array(n + 1);
  p[0] = 1;
  p[1] = x;
  for (let k = 1; k < n; k++) {
    p[k + 1] = ((2 * k + 1) * x * (p[k] as number) - k * (p[k - 1] as number)) / (k + 1);
  }
  return p;
}
