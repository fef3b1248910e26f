import { typeAttribute, type GraphTensor } from './graph.js';
import { multiply, reshape, withGradient } from './operations.js';
import { equalShapes, quotient, ShapeError, type Shape } from './shape.js';

/**
 * Products of complex numbers, of which two consecutive elements are real and imaginary part: `(aᵣbᵣ − aᵢbᵢ, aᵣbᵢ + aᵢbᵣ)`. A product with
 * `(cos φ, sin φ)` turns a pair by φ, in one operation.
 *
 * @param a shape [..., e], e even
 * @param b the same shape
 * @returns the same shape
 * @throws ShapeError if the shapes differ, or e is odd
 */
export function complexProduct(a: GraphTensor, b: GraphTensor): GraphTensor {
  const pairs = quotient(a.shape.at(-1) ?? 1, 2);
  if (!equalShapes(a.shape, b.shape) || pairs === undefined || a.dtype !== 'float32' || b.dtype !== 'float32') {
    throw new ShapeError(
      `complexProduct: ${a.toString()} and ${b.toString()} are not pairs of floats, as many in both`,
    );
  }
  const shape = [...a.shape.slice(0, -1), pairs];
  const [x, y] = [asComplex(a, shape), asComplex(b, shape)];
  // With z̄ for the conjugate: da = dy·b̄, db = dy·ā.
  return withGradient(asPairs(multiply(x, y), a.shape), [a, b], (dy) =>
    [y, x].map((other) => asPairs(multiply(asComplex(dy, shape), conjugate(other)), a.shape)),
  );
}

/** The bytes of pairs are those of complex numbers. */
function asComplex(x: GraphTensor, shape: Shape): GraphTensor {
  return bitcast(reshape(x, [...shape, 2]), 'complex64', shape);
}

function asPairs(x: GraphTensor, shape: Shape): GraphTensor {
  return reshape(bitcast(x, 'float32', [...x.shape, 2]), shape);
}

function bitcast(x: GraphTensor, dtype: 'complex64' | 'float32', shape: Shape): GraphTensor {
  const attributes = { T: typeAttribute(x.dtype), type: typeAttribute(dtype) };
  return x.graph.add('Bitcast', [x], attributes, [{ dtype, shape }])[0]!;
}

function conjugate(x: GraphTensor): GraphTensor {
  return x.graph.add('Conj', [x], { T: typeAttribute('complex64') }, [{ dtype: 'complex64', shape: x.shape }])[0]!;
}
