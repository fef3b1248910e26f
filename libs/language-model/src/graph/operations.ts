import {
  add,
  matMul,
  mean,
  multiply,
  reciprocalSquareRoot,
  sigmoid,
  square,
  subtract,
  sum,
  withGradient,
  type Graph,
  type GraphTensor,
} from '@infalign/tensor-graph';

/**
 * Root-mean-square normalisation (Zhang & Sennrich, arXiv 1910.07467): `y = x · r · g`, `r = (mean(x²) + ε)^−½`.
 *
 * @param x shape [n, d]
 * @param gain g, shape [d]
 */
export function rmsNorm(x: GraphTensor, gain: GraphTensor, epsilon: number): GraphTensor {
  const scale = reciprocalSquareRoot(add(mean(square(x), { axes: [1], keep: true }), epsilon));
  const normalised = multiply(x, scale);
  return withGradient(multiply(normalised, gain), [x, gain], (dy) => {
    const weighted = multiply(dy, gain);
    const projection = mean(multiply(weighted, normalised), { axes: [1], keep: true });
    return [
      multiply(subtract(weighted, multiply(normalised, projection)), scale),
      sum(multiply(dy, normalised), { axes: [0] }),
    ];
  });
}

/**
 * SwiGLU (Shazeer, arXiv 2002.05202): `silu(gate) · up`, `silu(z) = z·σ(z)`.
 *
 * @param gate shape [n, f]
 * @param up shape [n, f]
 */
export function swiglu(gate: GraphTensor, up: GraphTensor): GraphTensor {
  const slope = sigmoid(gate);
  const silu = multiply(gate, slope);
  return withGradient(multiply(silu, up), [gate, up], (dy) => {
    // d silu / d gate = σ + silu·(1 − σ) = σ·(1 − silu) + silu
    const derivative = add(multiply(slope, subtract(1, silu)), silu);
    return [multiply(multiply(dy, up), derivative), multiply(dy, silu)];
  });
}

/**
 * Rotary positions (Su et al., arXiv 2104.09864) in Hugging Face's convention: the first half of a head is rotated with
 * the second: `x·cos + rotate(x)·sin`, `rotate([a, b]) = [−b, a]`. The rotation is a product with a constant matrix, which is
 * faster than cutting and joining halves.
 *
 * @param x shape [rows, e]
 * @param cos shape [rows, e]
 * @param sin shape [rows, e]
 */
export function rotate(x: GraphTensor, cos: GraphTensor, sin: GraphTensor): GraphTensor {
  return add(multiply(x, cos), multiply(matMul(x, rotation(x.graph, x.shape[1] as number)), sin));
}

/** The matrix that, multiplied from the right, makes [−b, a] of [a, b]. */
function rotation(graph: Graph, width: number): GraphTensor {
  const half = width / 2;
  const elements = new Float32Array(width * width);
  for (let column = 0; column < half; column++) {
    elements[(column + half) * width + column] = -1;
    elements[column * width + column + half] = 1;
  }
  return graph.constant(elements, [width, width]);
}
