/**
 * The size of an axis: a number, or a name for a size that is known when the graph runs, or a product of both, such as
 * `4·batch·time`. Products have one spelling: the number first, then the names in order.
 */
export type Dimension = number | string;

/** The sizes of a tensor's axes. */
export type Shape = readonly Dimension[];

/** Operands whose shapes do not fit an operation; names the operation and the shapes. */
export class ShapeError extends Error {
  override readonly name = 'ShapeError';
}

/** The product of dimensions; 1 of none. */
export function product(...dimensions: readonly Dimension[]): Dimension {
  let size = 1;
  const names: string[] = [];
  for (const dimension of dimensions) {
    const { coefficient, factors } = factorsOf(dimension);
    size *= coefficient;
    names.push(...factors);
  }
  if (names.length === 0 || size === 0) return size;
  return [...(size === 1 ? [] : [String(size)]), ...names.sort()].join('·');
}

/**
 * The dimension that, multiplied by the divisor, gives the dividend.
 *
 * @returns undefined if there is none
 */
export function quotient(dividend: Dimension, divisor: Dimension): Dimension | undefined {
  const whole = factorsOf(dividend);
  const part = factorsOf(divisor);
  const remaining = [...whole.factors];
  for (const name of part.factors) {
    const index = remaining.indexOf(name);
    if (index < 0) return undefined;
    remaining.splice(index, 1);
  }
  const size = whole.coefficient / part.coefficient;
  return Number.isInteger(size) ? product(size, ...remaining) : undefined;
}

/** A dimension as a number times names. */
export function factorsOf(dimension: Dimension): { readonly coefficient: number; readonly factors: readonly string[] } {
  if (typeof dimension === 'number') return { coefficient: dimension, factors: [] };
  const parts = dimension.split('·');
  const coefficient = Number(parts[0]);
  return Number.isInteger(coefficient) ? { coefficient, factors: parts.slice(1) } : { coefficient: 1, factors: parts };
}

/**
 * The shape of an elementwise operation on two tensors: axes are aligned at the last one, and an axis of size 1 is
 * repeated (NumPy's rule). A size that is not known is never taken to be 1.
 *
 * @throws ShapeError
 */
export function broadcast(operation: string, a: Shape, b: Shape): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, axis) => {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left === right || right === 1) return left;
    if (left === 1) return right;
    throw new ShapeError(`${operation}: ${shown(a)} and ${shown(b)} do not broadcast`);
  });
}

/**
 * An axis counted from the front.
 *
 * @param axis negative ones count from the back
 * @throws ShapeError if there is no such axis
 */
export function axisOf(operation: string, axis: number, shape: Shape): number {
  const index = axis < 0 ? axis + shape.length : axis;
  if (Number.isInteger(index) && index >= 0 && index < shape.length) return index;
  throw new ShapeError(`${operation}: ${shown(shape)} has no axis ${axis}`);
}

/** Whether two shapes are the same. */
export function equalShapes(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/** A shape as messages show it: `[batch, 3]`. */
export function shown(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}
