import {
  booleanAttribute,
  integerAttribute,
  typeAttribute,
  type Attribute,
  type DataType,
  type Graph,
  type GraphTensor,
} from './graph.js';
import { hasKernelsForFewRows } from './native.js';
import { axisOf, broadcast, equalShapes, product, shown, ShapeError, type Dimension, type Shape } from './shape.js';

/** A tensor of the graph, or a number that becomes a constant. */
export type Operand = GraphTensor | number;

/** `a + b`, broadcast. */
export function add(a: Operand, b: Operand): GraphTensor {
  return elementwise('AddV2', a, b);
}

/** `a − b`, broadcast. */
export function subtract(a: Operand, b: Operand): GraphTensor {
  return elementwise('Sub', a, b);
}

/** `a · b`, broadcast. */
export function multiply(a: Operand, b: Operand): GraphTensor {
  return elementwise('Mul', a, b);
}

/** `a / b`, broadcast. */
export function divide(a: Operand, b: Operand): GraphTensor {
  return elementwise('RealDiv', a, b);
}

/** The larger of two, broadcast; where they are equal the gradient goes to `a`. */
export function maximum(a: Operand, b: Operand): GraphTensor {
  return elementwise('Maximum', a, b);
}

/** The smaller of two, broadcast; where they are equal the gradient goes to `a`. */
export function minimum(a: Operand, b: Operand): GraphTensor {
  return elementwise('Minimum', a, b);
}

/** Whether `a ≥ b`, broadcast; of type bool. */
export function greaterEqual(a: Operand, b: Operand): GraphTensor {
  return elementwise('GreaterEqual', a, b, 'bool');
}

/** Whether `a ≤ b`, broadcast; of type bool. */
export function lessEqual(a: Operand, b: Operand): GraphTensor {
  return elementwise('LessEqual', a, b, 'bool');
}

/** `−x`. */
export function negative(x: GraphTensor): GraphTensor {
  return unary('Neg', x);
}

/** `eˣ`. */
export function exponential(x: GraphTensor): GraphTensor {
  return unary('Exp', x);
}

/** `log x`, for x > 0. */
export function logarithm(x: GraphTensor): GraphTensor {
  return unary('Log', x);
}

/** `log(1 + x)`, for x > −1; exact for small x. */
export function logarithmOfOnePlus(x: GraphTensor): GraphTensor {
  return unary('Log1p', x);
}

/** `x²`. */
export function square(x: GraphTensor): GraphTensor {
  return unary('Square', x);
}

/** `√x`, for x ≥ 0. */
export function squareRoot(x: GraphTensor): GraphTensor {
  return unary('Sqrt', x);
}

/** `x^(−½)`, for x > 0. */
export function reciprocalSquareRoot(x: GraphTensor): GraphTensor {
  return unary('Rsqrt', x);
}

/** `|x|`; its gradient at 0 is 0. */
export function absolute(x: GraphTensor): GraphTensor {
  return unary('Abs', x);
}

/** `max(x, 0)`; its gradient at 0 is 0. */
export function relu(x: GraphTensor): GraphTensor {
  return unary('Relu', x);
}

/** `1 / (1 + e^(−x))`. */
export function sigmoid(x: GraphTensor): GraphTensor {
  return unary('Sigmoid', x);
}

/** The gradient in x of `y = σ(x)`, `dy·y·(1 − y)`, in one operation. @param y shape [...] @param dy the same shape */
export function sigmoidGradient(y: GraphTensor, dy: GraphTensor): GraphTensor {
  return elementwise('SigmoidGrad', y, dy);
}

/** `tanh x`. */
export function hyperbolicTangent(x: GraphTensor): GraphTensor {
  return unary('Tanh', x);
}

/** x held within [low, high]; the gradient is 0 outside. */
export function clip(x: GraphTensor, low: number, high: number): GraphTensor {
  return minimum(maximum(x, low), high);
}

/** 1 where x is above 0, and 0 elsewhere; float32. It has no gradient. */
export function positive(x: GraphTensor): GraphTensor {
  return cast(elementwise('Greater', x, 0, 'bool'), 'float32');
}

/** Takes `a` where the condition holds and `b` elsewhere; all broadcast. */
export function select(condition: GraphTensor, a: Operand, b: Operand): GraphTensor {
  const graph = condition.graph;
  const [left, right] = [tensorOf(graph, a), tensorOf(graph, b)];
  demandType('select', condition, 'bool');
  demandType('select', right, left.dtype);
  const shape = broadcast('select', condition.shape, broadcast('select', left.shape, right.shape));
  return one(graph, 'SelectV2', [condition, left, right], { T: typeAttribute(left.dtype) }, left.dtype, shape);
}

/** Converts the type of the elements; true becomes 1. No gradient flows through it unless both types are float32. */
export function cast(x: GraphTensor, dtype: DataType): GraphTensor {
  if (x.dtype === dtype) return x;
  return one(x.graph, 'Cast', [x], { SrcT: typeAttribute(x.dtype), DstT: typeAttribute(dtype) }, dtype, x.shape);
}

/** The same numbers, through which no gradient flows. */
export function stopGradient(x: GraphTensor): GraphTensor {
  return unary('StopGradient', x);
}

/**
 * Matrix product over the last two axes; leading axes are batches, equal in both operands.
 *
 * @param a shape [..., m, k], or [..., k, m] if transposed
 * @param b shape [..., k, n], or [..., n, k] if transposed
 * @param options fewRows: whether m is so small, in many batches, that most of the time goes into reading b, and sizes change from
 *   call to call: where oneDNN has no good kernels for that, TensorFlow's own are taken. Results differ in the last bits
 * @returns shape [..., m, n]
 */
export function matMul(
  a: GraphTensor,
  b: GraphTensor,
  {
    transposeA = false,
    transposeB = false,
    fewRows = false,
  }: { readonly transposeA?: boolean; readonly transposeB?: boolean; readonly fewRows?: boolean } = {},
): GraphTensor {
  demandType('matMul', a, 'float32');
  demandType('matMul', b, 'float32');
  const fail = (): never => {
    const mark = (shape: Shape, transposed: boolean): string => `${shown(shape)}${transposed ? ' transposed' : ''}`;
    throw new ShapeError(`matMul: ${mark(a.shape, transposeA)} and ${mark(b.shape, transposeB)} do not multiply`);
  };
  if (a.shape.length < 2 || a.shape.length !== b.shape.length) fail();
  const batch = a.shape.slice(0, -2);
  if (!equalShapes(batch, b.shape.slice(0, -2))) fail();
  const [m, k] = transposeA ? [a.shape.at(-1)!, a.shape.at(-2)!] : [a.shape.at(-2)!, a.shape.at(-1)!];
  const [inner, n] = transposeB ? [b.shape.at(-1)!, b.shape.at(-2)!] : [b.shape.at(-2)!, b.shape.at(-1)!];
  if (k !== inner) fail();
  const T = typeAttribute('float32');
  const [first, second] = [booleanAttribute(transposeA), booleanAttribute(transposeB)];
  if (batch.length === 0) {
    return one(a.graph, 'MatMul', [a, b], { T, transpose_a: first, transpose_b: second }, 'float32', [m, n]);
  }
  // oneDNN puts a transposed b into another order first, which one row is not worth: 0.6 to 0.85 of the time without.
  const keep = fewRows && (!hasKernelsForFewRows() || (m === 1 && transposeB));
  // TensorFlow gives the second version to oneDNN, and keeps the third.
  const [operation, types] = keep ? ['BatchMatMulV3', { Ta: T, Tb: T, Tout: T }] : ['BatchMatMulV2', { T }];
  return one(a.graph, operation, [a, b], { ...types, adj_x: first, adj_y: second }, 'float32', [...batch, m, n]);
}

/**
 * The same elements in another shape. Sizes without a name in any input are allowed once, and inferred.
 *
 * @throws ShapeError if the numbers of elements differ
 */
export function reshape(x: GraphTensor, shape: Shape): GraphTensor {
  if (equalShapes(x.shape, shape)) return x;
  if (product(...x.shape) !== product(...shape)) {
    throw new ShapeError(`reshape: ${shown(x.shape)} does not have as many elements as ${shown(shape)}`);
  }
  const { graph } = x;
  return one(
    graph,
    'Reshape',
    [x, shapeTensor(graph, shape)],
    { T: typeAttribute(x.dtype), Tshape: typeAttribute('int32') },
    x.dtype,
    shape,
  );
}

/** A shape as an integer vector; one unknown size is left to TensorFlow (−1). */
function shapeTensor(graph: Graph, shape: Shape): GraphTensor {
  const unknown = shape.filter((dimension) => typeof dimension !== 'number').length;
  // One size may remain without a name in an input: TensorFlow infers it.
  const inferred =
    unknown === 1
      ? shape.findIndex((dimension) => typeof dimension !== 'number')
      : shape.findIndex((dimension) => !graph.defines(dimension));
  return sizesTensor(graph, inferred < 0 ? shape : shape.with(inferred, -1));
}

/** Sizes as an integer vector: a constant where all are known. */
function sizesTensor(graph: Graph, sizes: readonly Dimension[]): GraphTensor {
  if (sizes.every((size) => typeof size === 'number')) return graph.integers(...sizes);
  return one(
    graph,
    'Pack',
    sizes.map((size) => graph.size(size)),
    { T: typeAttribute('int32'), N: integerAttribute(sizes.length), axis: integerAttribute(0) },
    'int32',
    [sizes.length],
  );
}

/**
 * Rearranges axes.
 *
 * @param permutation for every axis of the result, the axis of x that it is
 */
export function transpose(x: GraphTensor, permutation: readonly number[]): GraphTensor {
  const sorted = [...permutation].sort((a, b) => a - b);
  if (sorted.length !== x.shape.length || sorted.some((axis, index) => axis !== index)) {
    throw new ShapeError(`transpose: [${permutation.join(', ')}] is no permutation of the axes of ${shown(x.shape)}`);
  }
  return one(
    x.graph,
    'Transpose',
    [x, x.graph.integers(...permutation)],
    { T: typeAttribute(x.dtype), Tperm: typeAttribute('int32') },
    x.dtype,
    permutation.map((axis) => x.shape[axis]!),
  );
}

/** How a reduction treats axes. */
export interface ReductionOptions {
  /** Axes that are reduced; all by default. */
  readonly axes?: readonly number[];
  /** Whether reduced axes stay, of size 1; false by default. */
  readonly keep?: boolean;
}

/** The sum over axes. */
export function sum(x: GraphTensor, options: ReductionOptions = {}): GraphTensor {
  return reduction('Sum', x, options);
}

/** The mean over axes. */
export function mean(x: GraphTensor, options: ReductionOptions = {}): GraphTensor {
  return reduction('Mean', x, options);
}

/** The largest over axes. It has no gradient. */
export function largest(x: GraphTensor, options: ReductionOptions = {}): GraphTensor {
  return reduction('Max', x, options);
}

/** Sums of the first elements along the last axis: `y_i = Σ_{j ≤ i} x_j`, or of the last ones, `Σ_{j ≥ i} x_j`, if reversed. */
export function cumulativeSum(x: GraphTensor, { reverse = false }: { readonly reverse?: boolean } = {}): GraphTensor {
  demandType('cumulativeSum', x, 'float32');
  const axis = x.graph.constant(Int32Array.of(axisOf('cumulativeSum', -1, x.shape)), []);
  const attributes = {
    T: typeAttribute('float32'),
    Tidx: typeAttribute('int32'),
    exclusive: booleanAttribute(false),
    reverse: booleanAttribute(reverse),
  };
  return one(x.graph, 'Cumsum', [x, axis], attributes, 'float32', x.shape);
}

function reduction(operation: string, x: GraphTensor, { axes, keep = false }: ReductionOptions): GraphTensor {
  demandType(operation, x, 'float32');
  const reduced = new Set(axes === undefined ? x.shape.keys() : axes.map((axis) => axisOf(operation, axis, x.shape)));
  const shape = keep
    ? x.shape.map((dimension, axis) => (reduced.has(axis) ? 1 : dimension))
    : x.shape.filter((_, axis) => !reduced.has(axis));
  return one(
    x.graph,
    operation,
    [x, x.graph.integers(...reduced)],
    { T: typeAttribute('float32'), Tidx: typeAttribute('int32'), keep_dims: booleanAttribute(keep) },
    'float32',
    shape,
  );
}

/** `softmax(x)` over the last axis. */
export function softmax(x: GraphTensor): GraphTensor {
  return overLastAxis('Softmax', x);
}

/** `log softmax(x)` over the last axis. */
export function logSoftmax(x: GraphTensor): GraphTensor {
  return overLastAxis('LogSoftmax', x);
}

function overLastAxis(operation: string, x: GraphTensor): GraphTensor {
  demandType(operation, x, 'float32');
  axisOf(operation, -1, x.shape);
  // The native operations take few axes only.
  return reshape(unary(operation, reshape(x, [product(...x.shape.slice(0, -1)), x.shape.at(-1)!])), x.shape);
}

/** Adds to rows of a matrix, to one several times too. It has no gradient. @param rows shape [m], int32 @param values shape [m, d] */
export function addToRows(x: GraphTensor, rows: GraphTensor, values: GraphTensor): GraphTensor {
  demandType('addToRows', rows, 'int32');
  demandType('addToRows', values, x.dtype);
  if (rows.shape.length !== 1 || !equalShapes([...rows.shape, ...x.shape.slice(1)], values.shape)) {
    throw new ShapeError(
      `addToRows: ${shown(values.shape)} does not fit the rows ${shown(rows.shape)} of ${shown(x.shape)}`,
    );
  }
  const attributes = { T: typeAttribute(x.dtype), Tindices: typeAttribute('int32') };
  const indices = reshape(rows, [...rows.shape, 1]);
  return one(x.graph, 'TensorScatterAdd', [x, indices, values], attributes, x.dtype, x.shape);
}

/**
 * Rows of x by number. A row may be taken several times; its gradient is the sum over them.
 *
 * @param x shape [n, ...]
 * @param indices int32, each in [0, n)
 * @returns shape [...indices.shape, ...]
 */
export function gather(x: GraphTensor, indices: GraphTensor): GraphTensor {
  axisOf('gather', 0, x.shape);
  demandType('gather', indices, 'int32');
  return one(
    x.graph,
    'GatherV2',
    [x, indices, x.graph.constant(Int32Array.of(0), [])],
    {
      Tparams: typeAttribute(x.dtype),
      Tindices: typeAttribute('int32'),
      Taxis: typeAttribute('int32'),
      batch_dims: integerAttribute(0),
    },
    x.dtype,
    [...indices.shape, ...x.shape.slice(1)],
  );
}

/**
 * Of every row of x the element, or what stands in its place, of one number.
 *
 * @param x shape [n, m, ...]
 * @param places shape [n], int32, each in [0, m)
 * @returns shape [n, ...]
 */
export function inEachRow(x: GraphTensor, places: GraphTensor): GraphTensor {
  axisOf('inEachRow', 1, x.shape);
  demandType('inEachRow', places, 'int32');
  const [n, m, ...rest] = x.shape;
  if (!equalShapes(places.shape, [n!])) {
    throw new ShapeError(`inEachRow: ${shown(places.shape)} does not fit the rows of ${shown(x.shape)}`);
  }
  const { graph } = x;
  const within = add(multiply(range(graph, n!), graph.size(m!)), places);
  return gather(reshape(x, [product(n!, m!), ...rest]), within);
}

/**
 * Moves rows to other places: row i of the result is row `source[i]` of x. Every row of x that matters is taken once,
 * to the place that `target` says, so that the gradient is a `gather` too, where that of `gather` would be a sum. What
 * fills other places of the result has no gradient: it must not matter either.
 *
 * @param x shape [n, ...]
 * @param source shape [m], int32, each in [0, n)
 * @param target shape [n], int32, each in [0, m): `source[target[j]] = j`
 * @returns shape [m, ...]
 */
export function moveRows(x: GraphTensor, source: GraphTensor, target: GraphTensor): GraphTensor {
  if (source.shape.length !== 1 || target.shape.length !== 1 || target.shape[0] !== x.shape[0]) {
    throw new ShapeError(
      `moveRows: rows of ${shown(x.shape)} cannot go to the places ${shown(target.shape)} from ${shown(source.shape)}`,
    );
  }
  return withGradient(gather(x, source), [x], (dy) => [gather(dy, target)]);
}

/**
 * The same numbers, with a gradient worked out by hand: it flows to the inputs directly, past the operations between.
 *
 * @param y what was computed from the inputs
 * @param backward from the gradient in y to that in each input, of the input's shape; undefined where y does not depend on it
 */
export function withGradient(
  y: GraphTensor,
  inputs: readonly GraphTensor[],
  backward: (dy: GraphTensor) => readonly (GraphTensor | undefined)[],
): GraphTensor {
  return identity(y, { gradient: { inputs, backward } });
}

/** The same numbers, given once other tensors have been computed too: operations in place need not be read. */
export function after(x: GraphTensor, others: readonly GraphTensor[]): GraphTensor {
  return identity(x, { before: others });
}

function identity(x: GraphTensor, options: Parameters<Graph['add']>[4]): GraphTensor {
  return x.graph.add('Identity', [x], { T: typeAttribute(x.dtype) }, [x], options)[0]!;
}

/**
 * The sum of rows by segment.
 *
 * @param x shape [n, ...]
 * @param segments shape [n], int32, each in [0, count)
 * @param count number of segments
 * @returns shape [count, ...]
 */
export function segmentSum(x: GraphTensor, segments: GraphTensor, count: Dimension): GraphTensor {
  demandType('segmentSum', segments, 'int32');
  const { graph } = x;
  if (!equalShapes(segments.shape, x.shape.slice(0, segments.shape.length))) {
    throw new ShapeError(`segmentSum: segments ${shown(segments.shape)} do not fit rows of ${shown(x.shape)}`);
  }
  return one(
    graph,
    'UnsortedSegmentSum',
    [x, segments, graph.size(count)],
    { T: typeAttribute(x.dtype), Tindices: typeAttribute('int32'), Tnumsegments: typeAttribute('int32') },
    x.dtype,
    [count, ...x.shape.slice(segments.shape.length)],
  );
}

/**
 * Joins tensors along an axis.
 *
 * @param size a name for the sum of their sizes, which sizes that are not known need
 */
export function concatenate(parts: readonly GraphTensor[], axis: number, size?: Dimension): GraphTensor {
  const [first] = parts;
  if (!first) throw new ShapeError('concatenate: needs a tensor');
  const along = axisOf('concatenate', axis, first.shape);
  const others = (shape: Shape): Shape => shape.filter((_, index) => index !== along);
  for (const part of parts) {
    if (part.shape.length !== first.shape.length || !equalShapes(others(part.shape), others(first.shape))) {
      throw new ShapeError(`concatenate: ${parts.map((each) => shown(each.shape)).join(' and ')} along axis ${axis}`);
    }
    demandType('concatenate', part, first.dtype);
  }
  const sizes = parts.map((part) => part.shape[along]!);
  const total = size ?? sizes.reduce<number>((sumOf, each) => sumOf + (typeof each === 'number' ? each : NaN), 0);
  if (typeof total === 'number' && Number.isNaN(total)) {
    throw new ShapeError(`concatenate: the sum of ${shown(sizes)} has no name; give one`);
  }
  const joined = one(
    first.graph,
    'ConcatV2',
    [...parts, first.graph.constant(Int32Array.of(along), [])],
    { T: typeAttribute(first.dtype), Tidx: typeAttribute('int32'), N: integerAttribute(parts.length) },
    first.dtype,
    first.shape.map((dimension, index) => (index === along ? total : dimension)),
  );
  first.graph.name(joined);
  return joined;
}

/** Cuts a tensor along an axis into parts of given sizes. */
export function split(x: GraphTensor, sizes: readonly Dimension[], axis: number): GraphTensor[] {
  const along = axisOf('split', axis, x.shape);
  const { graph } = x;
  if (sizes.every((size) => typeof size === 'number') && typeof x.shape[along] === 'number') {
    const total = sizes.reduce((a, b) => a + b, 0);
    if (total !== x.shape[along]) {
      throw new ShapeError(`split: ${shown(x.shape)} has no parts of ${shown(sizes)} on axis ${axis}`);
    }
  }
  return graph.add(
    'SplitV',
    [x, sizesTensor(graph, sizes), graph.constant(Int32Array.of(along), [])],
    { T: typeAttribute(x.dtype), Tlen: typeAttribute('int32'), num_split: integerAttribute(sizes.length) },
    sizes.map((size) => ({
      dtype: x.dtype,
      shape: x.shape.map((dimension, index) => (index === along ? size : dimension)),
    })),
  );
}

/**
 * Writes rows into x *in place*: the memory of x itself changes, also where x is an input of the graph. What reads the new
 * rows must read this operation's result; nothing else may read x in the same run. It has no gradient.
 *
 * @param x shape [n, ...]
 * @param rows shape [m], int32, each in [0, n)
 * @param values shape [m, ...]
 * @returns x, shape [n, ...]
 */
export function writeRowsInPlace(x: GraphTensor, rows: GraphTensor, values: GraphTensor): GraphTensor {
  demandType('writeRowsInPlace', rows, 'int32');
  demandType('writeRowsInPlace', values, x.dtype);
  if (!equalShapes([...rows.shape, ...x.shape.slice(1)], values.shape) || rows.shape.length !== 1) {
    throw new ShapeError(
      `writeRowsInPlace: ${shown(values.shape)} does not fit the rows ${shown(rows.shape)} of ${shown(x.shape)}`,
    );
  }
  return one(x.graph, 'InplaceUpdate', [x, rows, values], { T: typeAttribute(x.dtype) }, x.dtype, x.shape);
}

/** The first rows of x, without copying them. @returns shape [count, ...] */
export function firstRows(x: GraphTensor, count: Dimension): GraphTensor {
  axisOf('firstRows', 0, x.shape);
  const { graph } = x;
  const zeros = graph.integers(...x.shape.map(() => 0));
  const rest = graph.integers(...x.shape.slice(1).map(() => -1));
  const size = one(
    graph,
    'Reshape',
    [graph.size(count), graph.integers(1)],
    { T: typeAttribute('int32'), Tshape: typeAttribute('int32') },
    'int32',
    [1],
  );
  const sizes = x.shape.length === 1 ? size : concatenate([size, rest], 0);
  return one(graph, 'Slice', [x, zeros, sizes], { T: typeAttribute(x.dtype), Index: typeAttribute('int32') }, x.dtype, [
    count,
    ...x.shape.slice(1),
  ]);
}

/** The whole numbers from 0 to below a size, int32. @returns shape [size] */
export function range(graph: Graph, size: Dimension): GraphTensor {
  const integer = (value: number): GraphTensor => graph.constant(Int32Array.of(value), []);
  return one(graph, 'Range', [integer(0), graph.size(size), integer(1)], { Tidx: typeAttribute('int32') }, 'int32', [
    size,
  ]);
}

/** Repeats one value. @returns float32, of the shape */
export function fill(graph: Graph, shape: Shape, value: Operand): GraphTensor {
  return one(
    graph,
    'Fill',
    [sizesTensor(graph, shape), tensorOf(graph, value)],
    { T: typeAttribute('float32'), index_type: typeAttribute('int32') },
    'float32',
    shape,
  );
}

/** x repeated to a larger shape. */
export function broadcastTo(x: GraphTensor, shape: Shape): GraphTensor {
  if (equalShapes(x.shape, shape)) return x;
  if (!equalShapes(broadcast('broadcastTo', x.shape, shape), shape)) {
    throw new ShapeError(`broadcastTo: ${shown(x.shape)} does not broadcast to ${shown(shape)}`);
  }
  return one(
    x.graph,
    'BroadcastTo',
    [x, sizesTensor(x.graph, shape)],
    { T: typeAttribute(x.dtype), Tidx: typeAttribute('int32') },
    x.dtype,
    shape,
  );
}

/** A number of a dimension as a 32-bit float tensor without axes. */
export function sizeAsFloat(graph: Graph, dimension: Dimension): GraphTensor {
  return typeof dimension === 'number' ? graph.scalar(dimension) : cast(graph.size(dimension), 'float32');
}

function elementwise(operation: string, a: Operand, b: Operand, dtype?: DataType): GraphTensor {
  const graph = typeof a === 'number' ? (b as GraphTensor).graph : a.graph;
  const [left, right] = [tensorOf(graph, a), tensorOf(graph, b)];
  demandType(operation, right, left.dtype);
  const shape = broadcast(operation, left.shape, right.shape);
  return one(graph, operation, [left, right], { T: typeAttribute(left.dtype) }, dtype ?? left.dtype, shape);
}

function unary(operation: string, x: GraphTensor): GraphTensor {
  return one(x.graph, operation, [x], { T: typeAttribute(x.dtype) }, x.dtype, x.shape);
}

function tensorOf(graph: Graph, operand: Operand): GraphTensor {
  return typeof operand === 'number' ? graph.scalar(operand) : operand;
}

function one(
  graph: Graph,
  operation: string,
  inputs: readonly GraphTensor[],
  attributes: Readonly<Record<string, Attribute>>,
  dtype: DataType,
  shape: Shape,
): GraphTensor {
  return graph.add(operation, inputs, attributes, [{ dtype, shape }])[0]!;
}

function demandType(operation: string, x: GraphTensor, dtype: DataType): void {
  if (x.dtype !== dtype) throw new ShapeError(`${operation}: ${x.toString()} has to be of type ${dtype}`);
}
