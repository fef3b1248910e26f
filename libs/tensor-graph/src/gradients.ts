import type { GraphTensor, Node } from './graph.js';
import {
  add,
  after,
  broadcastTo,
  concatenate,
  cumulativeSum,
  divide,
  exponential,
  fill,
  gather,
  greaterEqual,
  lessEqual,
  matMul,
  multiply,
  negative,
  reshape,
  segmentSum,
  select,
  sigmoidGradient,
  sizeAsFloat,
  split,
  square,
  subtract,
  sum,
  transpose,
  withGradient,
} from './operations.js';
import { equalShapes, product, quotient, shown, ShapeError, type Shape } from './shape.js';

/** The gradient in each input of an operation; undefined where it has none. */
type Gradients = readonly (GraphTensor | undefined)[];

/** One operation as its rule sees it: inputs a, b; output y; gradient dy in the output. */
interface Step {
  readonly a: GraphTensor;
  readonly b: GraphTensor;
  readonly inputs: readonly GraphTensor[];
  readonly y: GraphTensor;
  readonly dy: GraphTensor;
  /** Gradients in all outputs, where the operation has several. */
  readonly dys: Gradients;
  readonly node: Node;
}

/** The table of calculus: for every operation, the gradient in its inputs from that in its output. */
const rules: Readonly<Record<string, (step: Step) => Gradients>> = {
  AddV2: ({ a, b, dy }) => [summedTo(dy, a.shape), summedTo(dy, b.shape)],
  Sub: ({ a, b, dy }) => [summedTo(dy, a.shape), summedTo(negative(dy), b.shape)],
  Mul: ({ a, b, dy }) => [summedTo(multiply(dy, b), a.shape), summedTo(multiply(dy, a), b.shape)],
  RealDiv: ({ a, b, y, dy }) => {
    const da = divide(dy, b);
    return [summedTo(da, a.shape), summedTo(negative(multiply(da, y)), b.shape)];
  },
  Maximum: ({ a, b, dy }) => chosen(a, b, dy, greaterEqual(a, b)),
  Minimum: ({ a, b, dy }) => chosen(a, b, dy, lessEqual(a, b)),
  SelectV2: ({ inputs: [condition, a, b], dy }) => [undefined, ...chosen(a!, b!, dy, condition!)],

  Identity: ({ dy }) => [dy],
  StopGradient: () => [undefined],
  Cast: ({ a, dy }) => [a.dtype === 'float32' ? dy : undefined],
  Neg: ({ dy }) => [negative(dy)],
  Exp: ({ y, dy }) => [multiply(dy, y)],
  Log: ({ a, dy }) => [divide(dy, a)],
  Log1p: ({ a, dy }) => [divide(dy, add(a, 1))],
  Square: ({ a, dy }) => [multiply(dy, multiply(a, 2))],
  Sqrt: ({ y, dy }) => [divide(dy, multiply(y, 2))],
  Rsqrt: ({ y, dy }) => [multiply(dy, multiply(multiply(y, square(y)), -0.5))],
  Abs: ({ a, dy }) => [multiply(dy, a.graph.add('Sign', [a], { T: { $case: 'type', value: 1 } }, [a])[0]!)],
  Relu: ({ y, dy }) => [select(lessEqual(y, 0), 0, dy)],
  Sigmoid: ({ y, dy }) => [sigmoidGradient(y, dy)],
  Tanh: ({ y, dy }) => [multiply(dy, subtract(1, square(y)))],

  MatMul: (step) => matMulGradients(step, 'transpose_a', 'transpose_b'),
  BatchMatMulV2: (step) => matMulGradients(step, 'adj_x', 'adj_y'),
  BatchMatMulV3: (step) => matMulGradients(step, 'adj_x', 'adj_y'),

  Reshape: ({ a, dy }) => [reshape(dy, a.shape), undefined],
  Transpose: ({ dy, node }) => [transpose(dy, inverse(permutationOf(node))), undefined],
  BroadcastTo: ({ a, dy }) => [summedTo(dy, a.shape), undefined],
  Sum: ({ a, y, dy, node }) => [spread(dy, a.shape, y.shape, node), undefined],
  Mean: ({ a, y, dy, node }) => {
    const count = quotient(product(...a.shape), product(...y.shape))!;
    return [spread(divide(dy, sizeAsFloat(dy.graph, count)), a.shape, y.shape, node), undefined];
  },
  Cumsum: ({ dy, node }) => [cumulativeSum(dy, { reverse: node.attributes['reverse']?.value !== true }), undefined],

  Softmax: ({ y, dy }) => [multiply(y, subtract(dy, sum(multiply(dy, y), { axes: [-1], keep: true })))],
  LogSoftmax: ({ y, dy }) => [subtract(dy, multiply(exponential(y), sum(dy, { axes: [-1], keep: true })))],
  GatherV2: ({ a, b, dy }) => [segmentSum(dy, b, a.shape[0]!), undefined, undefined],
  UnsortedSegmentSum: ({ b, dy }) => [gather(dy, b), undefined, undefined],
  ConcatV2: ({ inputs, dy }) => {
    const axis = axisIn(inputs);
    const sizes = inputs.slice(0, -1).map((part) => part.shape[axis]!);
    return [...split(dy, sizes, axis), undefined];
  },
  SplitV: ({ a, inputs, dys, node }) => {
    const axis = axisIn(inputs);
    const parts = node.outputs.map((part, index) => dys[index] ?? fill(part.graph, part.shape, 0));
    return [concatenate(parts, axis, a.shape[axis]), undefined, undefined];
  },
};

/**
 * The gradient of a scalar in tensors that it was computed from, by reverse-mode differentiation.
 *
 * @param y a float32 tensor without axes
 * @param xs what the gradient is taken in
 * @returns for every x, a tensor of its shape; undefined if y does not depend on it
 * @throws Error naming an operation on the way that has no gradient
 */
export function gradients(y: GraphTensor, xs: readonly GraphTensor[]): (GraphTensor | undefined)[] {
  if (y.shape.length !== 0 || y.dtype !== 'float32') {
    throw new ShapeError(`gradients: ${y.toString()} has to be a float32 tensor without axes`);
  }
  return backwards(y, y.graph.scalar(1), xs, { throughXs: true });
}

/**
 * `f(x)`, of which nothing is kept for the gradient but x: what f computes is computed again when the gradient has come so far (Chen et
 * al., arXiv 1604.06174). It takes the time of f once more, and in exchange the memory of one f where several follow each other.
 *
 * @param f called twice: every tensor with a gradient that depends on x has to be made anew by each call
 */
export function recomputed(x: GraphTensor, f: (x: GraphTensor) => GraphTensor): GraphTensor {
  const { graph } = x;
  const start = graph.nodes.length;
  const y = f(x);
  const end = graph.nodes.length;
  const isInside = ({ node }: GraphTensor): boolean => node.index >= start && node.index < end;
  const used = graph.nodes.slice(start).flatMap((node) => [...node.inputs, ...(node.gradient?.inputs ?? [])]);
  const hasGradient = ({ dtype, node }: GraphTensor): boolean => dtype === 'float32' && node.operation !== 'Const';
  const inputs = [...new Set([x, ...used.filter((each) => hasGradient(each) && !isInside(each))])];
  return withGradient(y, inputs, (dy) => {
    // Only after dy: else TensorFlow would find that both are the same, and keep what the first has computed.
    const again = after(x, [dy]);
    const restart = graph.nodes.length;
    const result = f(again);
    const kept = graph.nodes.slice(restart).flatMap((node) => node.inputs.filter(isInside));
    const wrong = kept.find(hasGradient);
    if (wrong) throw new Error(`recomputed: ${wrong.toString()} is used again instead of being made anew`);
    return backwards(result, dy, [again, ...inputs.slice(1)], { throughXs: false });
  });
}

/**
 * Reverse-mode differentiation.
 *
 * @param dy the gradient in y, of its shape
 * @param throughXs whether what an x was computed from counts as depending on it; if not, every x is a source of its own
 */
function backwards(
  y: GraphTensor,
  dy: GraphTensor,
  xs: readonly GraphTensor[],
  { throughXs }: { readonly throughXs: boolean },
): (GraphTensor | undefined)[] {
  const { graph } = y;
  const wanted = needing(y, xs);
  /** What has arrived for every output of every operation. */
  const arrived = new Map<GraphTensor, GraphTensor[]>([[y, [dy]]]);
  const sumOf = (tensor: GraphTensor): GraphTensor | undefined => {
    const parts = arrived.get(tensor);
    return parts?.reduce((a, b) => add(a, b));
  };
  const result = new Map<GraphTensor, GraphTensor>();
  const targets = new Set(xs);
  for (let index = y.node.index; index >= 0; index--) {
    const node = graph.nodes[index]!;
    if (!wanted.has(node)) continue;
    const dys = node.outputs.map(sumOf);
    node.outputs.forEach((output, place) => {
      if (targets.has(output) && dys[place]) result.set(output, dys[place]);
    });
    if (!throughXs && node.outputs.some((output) => targets.has(output))) continue;
    if (dys.every((dy) => dy === undefined) || node.inputs.length === 0) continue;
    const inputs = node.gradient ? node.gradient.inputs : node.inputs;
    if (!inputs.some((input) => wanted.has(input.node))) continue;
    const found = node.gradient ? node.gradient.backward(dys[0]!) : ruleOf(node)(stepOf(node, dys));
    inputs.forEach((input, place) => {
      const gradient = found[place];
      if (!gradient || !wanted.has(input.node)) return;
      if (!equalShapes(gradient.shape, input.shape)) {
        throw new ShapeError(
          `the gradient of ${node.operation} in ${input.toString()} has the shape ${shown(gradient.shape)}`,
        );
      }
      arrived.set(input, [...(arrived.get(input) ?? []), gradient]);
    });
  }
  return xs.map((x) => result.get(x));
}

/** The operations that lie between xs and y: all others need no gradient. */
function needing(y: GraphTensor, xs: readonly GraphTensor[]): Set<Node> {
  const { nodes } = y.graph;
  const sources = new Set(xs.map((x) => x.node));
  const wanted = new Set<Node>();
  for (const node of nodes.slice(0, y.node.index + 1)) {
    const inputs = node.gradient ? node.gradient.inputs : node.inputs;
    if (sources.has(node) || inputs.some((input) => wanted.has(input.node))) wanted.add(node);
  }
  return wanted;
}

function ruleOf(node: Node): (step: Step) => Gradients {
  const rule = rules[node.operation];
  if (!rule)
    throw new Error(`${node.operation} has no gradient: stop it with stopGradient, or give one with withGradient`);
  return rule;
}

function stepOf(node: Node, dys: Gradients): Step {
  const [a, b] = node.inputs;
  return { a: a!, b: b!, inputs: node.inputs, y: node.outputs[0]!, dy: dys[0]!, dys, node };
}

/** Sums a gradient over the axes along which an operand was broadcast. */
function summedTo(dy: GraphTensor, shape: Shape): GraphTensor {
  if (equalShapes(dy.shape, shape)) return dy;
  const added = dy.shape.length - shape.length;
  const axes = [...dy.shape.keys()].filter((axis) => axis < added || shape[axis - added] !== dy.shape[axis]);
  return reshape(sum(dy, { axes }), shape);
}

/** Spreads the gradient of a reduction over what was reduced. */
function spread(dy: GraphTensor, shape: Shape, reduced: Shape, node: Node): GraphTensor {
  const axes = new Set(constantIntegers(node.inputs[1]!));
  const kept = reduced.length === shape.length ? reduced : shape.map((size, axis) => (axes.has(axis) ? 1 : size));
  return broadcastTo(reshape(dy, kept), shape);
}

/** The gradient of a choice between two: to the one that was taken. */
function chosen(a: GraphTensor, b: GraphTensor, dy: GraphTensor, first: GraphTensor): GraphTensor[] {
  return [summedTo(select(first, dy, 0), a.shape), summedTo(select(first, 0, dy), b.shape)];
}

/** With A and B as they are multiplied: dA = dY·Bᵀ, dB = Aᵀ·dY; transposed where the operand was. */
function matMulGradients({ a, b, dy, node }: Step, first: string, second: string): Gradients {
  const transposeA = node.attributes[first]?.value === true;
  const transposeB = node.attributes[second]?.value === true;
  return [
    transposeA
      ? matMul(b, dy, { transposeA: transposeB, transposeB: true })
      : matMul(dy, b, { transposeB: !transposeB }),
    transposeB
      ? matMul(dy, a, { transposeA: true, transposeB: transposeA })
      : matMul(a, dy, { transposeA: !transposeA }),
  ];
}

/** The axis that an operation takes as its last input, a constant. */
function axisIn(inputs: readonly GraphTensor[]): number {
  return constantIntegers(inputs.at(-1)!)[0]!;
}

function permutationOf(node: Node): number[] {
  return constantIntegers(node.inputs[1]!);
}

function inverse(permutation: readonly number[]): number[] {
  const result: number[] = [];
  permutation.forEach((axis, index) => (result[axis] = index));
  return result;
}

/** The elements of an integer constant. */
function constantIntegers({ node }: GraphTensor): number[] {
  const value = node.attributes['value'];
  if (value?.$case !== 'tensor') throw new Error(`${node.name} is no constant`);
  const { tensorContent } = value.value;
  return Array.from(new Int32Array(tensorContent.buffer, tensorContent.byteOffset, tensorContent.byteLength / 4));
}
