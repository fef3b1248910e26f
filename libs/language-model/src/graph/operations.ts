import {
  add,
  matMul,
  mean,
  multiply,
  reciprocalSquareRoot,
  reshape,
  softmax,
  sigmoid,
  sigmoidGradient,
  square,
  subtract,
  sum,
  withGradient,
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
    const inNormalised = multiply(dy, gain);
    const ofGain = multiply(dy, normalised);
    // The mean over a row of inNormalised·normalised, which is ofGain·g.
    const [size] = gain.shape as readonly [number];
    const projection = matMul(ofGain, reshape(multiply(gain, 1 / size), [size, 1]));
    return [multiply(subtract(inNormalised, multiply(normalised, projection)), scale), sum(ofGain, { axes: [0] })];
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
    // d silu / d gate = σ + gate·σ·(1 − σ)
    const derivative = add(sigmoidGradient(slope, gate), slope);
    return [multiply(multiply(dy, up), derivative), multiply(dy, silu)];
  });
}

/**
 * `softmax(scores)·values`. With dP the gradient in the probabilities P, that in scores is `P·(dP − Σ dP·P)`, and `Σ dP·P` of a row is
 * `Σ dy·y` (Dao et al., arXiv 2205.14135): a sum over e in place of one over all keys.
 *
 * @param scores shape [..., queries, keys]
 * @param values shape [..., keys, e]
 * @returns shape [..., queries, e]
 */
export function attention(scores: GraphTensor, values: GraphTensor): GraphTensor {
  const probabilities = softmax(scores);
  const y = matMul(probabilities, values);
  return withGradient(y, [scores, values], (dy) => {
    const ofProbabilities = matMul(dy, values, { transposeB: true });
    const projection = sum(multiply(dy, y), { axes: [-1], keep: true });
    return [
      multiply(probabilities, subtract(ofProbabilities, projection)),
      matMul(probabilities, dy, { transposeA: true }),
    ];
  });
}
