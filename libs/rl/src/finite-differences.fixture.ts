import * as tf from '@tensorflow/tfjs-core';

/** The gradient of a scalar function at x by autodiff and by central differences, both shape [n]. */
export function bothGradients(
  loss: (x: tf.Tensor1D) => tf.Tensor,
  x: readonly number[],
): { autodiff: number[]; differences: number[] } {
  const step = 1e-2;
  const at = (values: readonly number[]) => loss(tf.tensor1d([...values])).dataSync()[0]!;
  const gradient = tf.grad((tensor) => loss(tensor as tf.Tensor1D));
  return {
    autodiff: Array.from(gradient(tf.tensor1d([...x])).dataSync()),
    differences: x.map((value, i) => (at(x.with(i, value + step)) - at(x.with(i, value - step))) / (2 * step)),
  };
}
