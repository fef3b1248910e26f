import {
  add,
  concatenate,
  matMul,
  mean,
  multiply,
  reciprocalSquareRoot,
  reshape,
  square,
  transpose,
  type Dimension,
  type GraphTensor,
} from '@infalign/tensor-graph';
import { rmsNorm } from './operations.js';

/**
 * How the residual stream of some tokens lies in memory. Products with few tokens mostly read weights: with features first, the
 * library multiplies a weight as it lies, where otherwise it copies all of it into another order for every product.
 */
export interface Orientation {
  /** Root-mean-square normalisation over the features of every token. */
  readonly norm: (x: GraphTensor, gain: GraphTensor, epsilon: number) => GraphTensor;
  /** A linear layer. @param weight shape [output, input] */
  readonly linear: (x: GraphTensor, weight: GraphTensor) => GraphTensor;
  /** Joins features. */
  readonly join: (parts: readonly GraphTensor[]) => GraphTensor;
  /** How many tokens there are. */
  readonly tokens: (x: GraphTensor) => Dimension;
  /** The shape that some features of these tokens have. */
  readonly shape: (tokens: Dimension, features: number) => readonly [Dimension, Dimension];
  /** From shape [tokens, features]. */
  readonly from: (x: GraphTensor) => GraphTensor;
  /** To shape [tokens, features]. */
  readonly to: (x: GraphTensor) => GraphTensor;
}

/** Shape [tokens, features]: for many tokens, and for gradients. */
export const tokensFirst: Orientation = {
  norm: rmsNorm,
  linear: (x, weight) => matMul(x, weight, { transposeB: true }),
  join: (parts) => concatenate(parts, 1),
  tokens: (x) => x.shape[0]!,
  shape: (tokens, features) => [tokens, features],
  from: (x) => x,
  to: (x) => x,
};

/** Shape [features, tokens]. */
export const featuresFirst: Orientation = {
  norm(x, gain, epsilon) {
    const scale = reciprocalSquareRoot(add(mean(square(x), { axes: [0], keep: true }), epsilon));
    return multiply(multiply(x, scale), reshape(gain, [gain.shape[0]!, 1]));
  },
  linear: (x, weight) => matMul(weight, x),
  join: (parts) => concatenate(parts, 0),
  tokens: (x) => x.shape[1]!,
  shape: (tokens, features) => [features, tokens],
  from: (x) => transpose(x, [1, 0]),
  to: (x) => transpose(x, [1, 0]),
};
