import * as tf from '@tensorflow/tfjs-core';
import type { Arithmetic } from '@infalign/core';

/** Arithmetic on tfjs tensors, executed at once. */
export const eagerArithmetic: Arithmetic<tf.Tensor> = {
  add: (a, b) => tf.add(a, b),
  subtract: (a, b) => tf.sub(a, b),
  multiply: (a, b) => tf.mul(a, b),
  maximum: (a, b) => tf.maximum(a, b),
  clip: (x, low, high) => tf.clipByValue(x, low, high),
  negative: (x) => tf.neg(x),
  absolute: (x) => tf.abs(x),
  relu: (x) => tf.relu(x),
  square: (x) => tf.square(x),
  exponential: (x) => tf.exp(x),
  logarithmOfOnePlus: (x) => tf.log1p(x),
  positive: (x) => tf.cast(tf.greater(x, 0), 'float32'),
  mean: (x) => tf.mean(x),
};
