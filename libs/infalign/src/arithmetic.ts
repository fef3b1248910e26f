/** A tensor, or a number that stands for a tensor of that number everywhere. */
export type Operand<T> = T | number;

/**
 * Differentiable arithmetic on tensors, elementwise where it is not said otherwise: what losses are written in, so that one definition serves
 * whatever computes them. Tensors are of 32-bit floats.
 */
export interface Arithmetic<T> {
  /** `a + b`. */
  add(a: Operand<T>, b: Operand<T>): T;
  /** `a − b`. */
  subtract(a: Operand<T>, b: Operand<T>): T;
  /** `a · b`. */
  multiply(a: Operand<T>, b: Operand<T>): T;
  /** The larger; where both are equal the gradient goes to `a`. */
  maximum(a: Operand<T>, b: Operand<T>): T;
  /** x held within [low, high]; its gradient is 0 outside. */
  clip(x: T, low: number, high: number): T;
  /** `−x`. */
  negative(x: T): T;
  /** `|x|`; its gradient at 0 is between −1 and 1. */
  absolute(x: T): T;
  /** `max(x, 0)`; its gradient at 0 is between 0 and 1. */
  relu(x: T): T;
  /** `x²`. */
  square(x: T): T;
  /** `eˣ`. */
  exponential(x: T): T;
  /** `log(1 + x)`, exact for small x. */
  logarithmOfOnePlus(x: T): T;
  /** 1 where x is above 0, and 0 elsewhere; without a gradient. */
  positive(x: T): T;
  /** The mean over all elements. */
  mean(x: T): T;
}
