import * as tf from '@tensorflow/tfjs-node';
import { afterAll, describe, expect, it } from 'vitest';
import {
  absolute,
  add,
  clip,
  compile,
  complexProduct,
  concatenate,
  cumulativeSum,
  divide,
  exponential,
  gather,
  gradients,
  Graph,
  hyperbolicTangent,
  inEachRow,
  labelLogProbs,
  logarithm,
  logarithmOfOnePlus,
  logSoftmax,
  matMul,
  maximum,
  mean,
  minimum,
  moveRows,
  multiply,
  NativeTensor,
  negative,
  range,
  reciprocalSquareRoot,
  relu,
  reshape,
  segmentSum,
  select,
  greaterEqual,
  sigmoid,
  softmax,
  split,
  square,
  squareRoot,
  stopGradient,
  subtract,
  sum,
  transpose,
  withGradient,
  type Dimension,
  type GraphTensor,
  type Shape,
} from './index.js';
import { seededNumbers } from './seeded-numbers.fixture.js';

/** One operation here, and the same in tfjs's eager operations. */
interface Case {
  /** Shapes of the operands; a name is a size that the graph does not know, of `sizes`. */
  readonly shapes: readonly Shape[];
  /** Operands lie between these; (−2, 2) by default. */
  readonly within?: readonly [number, number];
  readonly graph: (...operands: GraphTensor[]) => GraphTensor;
  readonly eager: (...operands: tf.Tensor[]) => tf.Tensor;
}

const sizes: Readonly<Record<string, number>> = { n: 5, batch: 3, time: 4 };
const sizeOf = (dimension: Dimension): number => (typeof dimension === 'number' ? dimension : sizes[dimension]!);
/** Of five rows, in four classes: one of them twice. */
const labels = [3, 0, 1, 1, 2];
const eagerLabelLogProbs = (logits: tf.Tensor): tf.Tensor =>
  tf.sum(tf.mul(tf.logSoftmax(logits), tf.oneHot(tf.tensor1d(labels, 'int32'), 4)), 1);
const integers = (graph: Graph, ...values: number[]): GraphTensor => graph.integers(...values);

const cases: Readonly<Record<string, Case>> = {
  add: { shapes: [['n', 3], [3]], graph: add, eager: tf.add },
  'add, broadcast on both sides': {
    shapes: [
      ['n', 1],
      [1, 4],
    ],
    graph: add,
    eager: tf.add,
  },
  subtract: {
    shapes: [
      ['n', 3],
      ['n', 3],
    ],
    graph: subtract,
    eager: tf.sub,
  },
  multiply: {
    shapes: [
      ['batch', 'time', 2],
      ['time', 1],
    ],
    graph: multiply,
    eager: tf.mul,
  },
  complexProduct: {
    shapes: [
      ['n', 3, 4],
      ['n', 3, 4],
    ],
    graph: complexProduct,
    eager: (a, b) => {
      const [ar, ai, br, bi] = [a, b].flatMap((x) => tf.unstack(tf.reshape(x, [5, 3, 2, 2]), 3));
      const real = tf.sub(tf.mul(ar!, br!), tf.mul(ai!, bi!));
      const imaginary = tf.add(tf.mul(ar!, bi!), tf.mul(ai!, br!));
      return tf.reshape(tf.stack([real, imaginary], 3), [5, 3, 4]);
    },
  },
  'a number times a tensor': { shapes: [['n']], graph: (x) => multiply(3, x), eager: (x) => tf.mul(3, x) },
  divide: { shapes: [['n', 3], [3]], within: [0.5, 2], graph: divide, eager: tf.div },
  maximum: {
    shapes: [
      ['n', 3],
      ['n', 3],
    ],
    graph: maximum,
    eager: tf.maximum,
  },
  minimum: {
    shapes: [
      ['n', 3],
      ['n', 3],
    ],
    graph: minimum,
    eager: tf.minimum,
  },
  clip: { shapes: [['n', 3]], graph: (x) => clip(x, -0.7, 0.9), eager: (x) => tf.clipByValue(x, -0.7, 0.9) },
  select: {
    shapes: [['n'], ['n']],
    graph: (a, b) => select(greaterEqual(a, b), square(a), b),
    eager: (a, b) => tf.where(tf.greaterEqual(a, b), tf.square(a), b),
  },
  negative: { shapes: [['n']], graph: negative, eager: tf.neg },
  exponential: { shapes: [['n']], graph: exponential, eager: tf.exp },
  logarithm: { shapes: [['n']], within: [0.5, 3], graph: logarithm, eager: tf.log },
  'logarithm of one plus': { shapes: [['n']], within: [-0.4, 3], graph: logarithmOfOnePlus, eager: tf.log1p },
  square: { shapes: [['n']], graph: square, eager: tf.square },
  'square root': { shapes: [['n']], within: [0.5, 3], graph: squareRoot, eager: tf.sqrt },
  'reciprocal square root': { shapes: [['n']], within: [0.5, 3], graph: reciprocalSquareRoot, eager: tf.rsqrt },
  absolute: { shapes: [['n']], graph: absolute, eager: tf.abs },
  relu: { shapes: [['n']], graph: relu, eager: tf.relu },
  sigmoid: { shapes: [['n']], graph: sigmoid, eager: tf.sigmoid },
  'hyperbolic tangent': { shapes: [['n']], graph: hyperbolicTangent, eager: tf.tanh },
  'stopped gradient': {
    shapes: [['n']],
    graph: (x) => multiply(x, stopGradient(x)),
    eager: (x) =>
      tf.customGrad((value) => ({ value: tf.square(value as tf.Tensor), gradFunc: (dy: tf.Tensor) => tf.mul(dy, x) }))(
        x,
      ),
  },
  ...Object.fromEntries(
    [
      [false, false],
      [true, false],
      [false, true],
      [true, true],
    ].flatMap(([transposeA, transposeB]): [string, Case][] => [
      [
        `matrix product${transposeA ? ', first transposed' : ''}${transposeB ? ', second transposed' : ''}`,
        {
          shapes: [transposeA ? [3, 'n'] : ['n', 3], transposeB ? [4, 3] : [3, 4]],
          graph: (a: GraphTensor, b: GraphTensor) => matMul(a, b, { transposeA: transposeA!, transposeB: transposeB! }),
          eager: (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, transposeA, transposeB),
        },
      ],
      ...[false, true].map((fewRows): [string, Case] => [
        `batched matrix product${fewRows ? ' of few rows' : ''}${transposeA ? ', first transposed' : ''}${transposeB ? ', second transposed' : ''}`,
        {
          shapes: [
            transposeA ? ['batch', 2, 3, 'time'] : ['batch', 2, 'time', 3],
            transposeB ? ['batch', 2, 4, 3] : ['batch', 2, 3, 4],
          ],
          graph: (a: GraphTensor, b: GraphTensor) =>
            matMul(a, b, { transposeA: transposeA!, transposeB: transposeB!, fewRows }),
          eager: (a: tf.Tensor, b: tf.Tensor) => tf.matMul(a, b, transposeA, transposeB),
        },
      ]),
    ]),
  ),
  reshape: {
    shapes: [['batch', 'time', 6]],
    graph: (x) => reshape(x, ['batch·time', 3, 2]),
    eager: (x) => tf.reshape(x, [12, 3, 2]),
  },
  'reshape to two unknown sizes': {
    shapes: [['batch', 'time', 6]],
    graph: (x) => square(reshape(reshape(x, ['2·batch·time', 3]), ['time', 2, 'batch', 3])),
    eager: (x) => tf.square(tf.reshape(x, [4, 2, 3, 3])),
  },
  transpose: {
    shapes: [['batch', 'time', 2]],
    graph: (x) => transpose(x, [2, 0, 1]),
    eager: (x) => tf.transpose(x, [2, 0, 1]),
  },
  'sum of all': { shapes: [['n', 3]], graph: (x) => sum(square(x)), eager: (x) => tf.sum(tf.square(x)) },
  'sum over an axis': {
    shapes: [['n', 3]],
    graph: (x) => sum(square(x), { axes: [0] }),
    eager: (x) => tf.sum(tf.square(x), 0),
  },
  'mean over axes, kept': {
    shapes: [['batch', 'time', 3]],
    graph: (x) => mean(square(x), { axes: [0, -1], keep: true }),
    eager: (x) => tf.mean(tf.square(x), [0, -1], true),
  },
  'mean of all': { shapes: [['n', 3]], graph: (x) => mean(square(x)), eager: (x) => tf.mean(tf.square(x)) },
  'cumulative sum': {
    shapes: [['n', 4]],
    graph: (x) => square(cumulativeSum(x)),
    eager: (x) => tf.square(tf.cumsum(x, 1)),
  },
  'cumulative sum from the end': {
    shapes: [['batch', 'time', 4]],
    graph: (x) => square(cumulativeSum(x, { reverse: true })),
    eager: (x) => tf.square(tf.cumsum(x, 2, false, true)),
  },
  softmax: { shapes: [['n', 4]], graph: softmax, eager: (x) => tf.softmax(x) },
  'logarithm of softmax': { shapes: [['batch', 'time', 4]], graph: logSoftmax, eager: (x) => tf.logSoftmax(x) },
  'log-probabilities of labels': {
    shapes: [
      [5, 3],
      [4, 3],
    ],
    graph: (x, weight) => labelLogProbs([{ x, weight }], integers(x.graph, ...labels)),
    eager: (x, weight) => eagerLabelLogProbs(tf.matMul(x, weight, false, true)),
  },
  'log-probabilities of labels, of logits in two parts': {
    shapes: [
      [5, 3],
      [4, 3],
      [5, 2],
      [4, 2],
    ],
    graph: (a, b, c, d) =>
      labelLogProbs(
        [
          { x: a, weight: b },
          { x: c, weight: d },
        ],
        integers(a.graph, ...labels),
      ),
    eager: (a, b, c, d) =>
      eagerLabelLogProbs(
        tf.add(
          tf.matMul(a as tf.Tensor2D, b as tf.Tensor2D, false, true),
          tf.matMul(c as tf.Tensor2D, d as tf.Tensor2D, false, true),
        ),
      ),
  },
  gather: {
    shapes: [[3, 2]],
    graph: (x) => square(gather(x, integers(x.graph, 2, 0, 2, 2))),
    eager: (x) => tf.square(tf.gather(x, tf.tensor1d([2, 0, 2, 2], 'int32'))),
  },
  'one element of each row': {
    shapes: [['n', 6]],
    graph: (x) => square(inEachRow(x, range(x.graph, 'n'))),
    eager: (x) => tf.square(tf.sum(tf.mul(x, tf.eye(x.shape[0], 6)), 1)),
  },
  'what stands in one place of each row': {
    shapes: [[2, 3, 2]],
    graph: (x) => square(inEachRow(x, integers(x.graph, 2, 0))),
    eager: (x) => tf.square(tf.gather(tf.reshape(x, [6, 2]), tf.tensor1d([2, 3], 'int32'))),
  },
  'moved rows': {
    shapes: [[3, 2]],
    graph: (x) => moveRows(x, integers(x.graph, 2, 0, 1), integers(x.graph, 1, 2, 0)),
    eager: (x) => tf.gather(x, tf.tensor1d([2, 0, 1], 'int32')),
  },
  'sum of segments': {
    shapes: [[4, 2]],
    graph: (x) => square(segmentSum(x, integers(x.graph, 1, 0, 1, 1), 3)),
    eager: (x) => tf.square(tf.unsortedSegmentSum(x, tf.tensor1d([1, 0, 1, 1], 'int32'), 3)),
  },
  concatenate: {
    shapes: [
      ['n', 2],
      ['n', 3],
    ],
    graph: (a, b) => square(concatenate([a, b], 1)),
    eager: (a, b) => tf.square(tf.concat([a, b], 1)),
  },
  'split, a part unused': {
    shapes: [['n', 6]],
    graph: (x) => {
      const [a, , c] = split(x, [1, 2, 3], 1);
      return multiply(a!, c!);
    },
    eager: (x) => {
      const [a, , c] = tf.split(x, [1, 2, 3], 1);
      return tf.mul(a!, c!);
    },
  },
  'a gradient by hand': {
    shapes: [['n']],
    graph: (x) =>
      withGradient(multiply(sigmoid(x), x), [x], (dy) => [
        multiply(dy, add(sigmoid(x), multiply(x, multiply(sigmoid(x), subtract(1, sigmoid(x)))))),
      ]),
    eager: (x) => tf.mul(x, tf.sigmoid(x)),
  },
};

/** What a case gives, and the gradients of Σ weights·result in its operands. */
function computed({ shapes, graph: build, within = [-2, 2] }: Case, name: string) {
  const graph = new Graph();
  const operands = shapes.map((shape, index) => graph.input(`operand${index}`, 'float32', shape));
  const result = build(...operands);
  const weights = graph.input('weights', 'float32', result.shape);
  const total = sum(multiply(result, weights));
  const found = gradients(total, operands);
  const outputs = { result, total, ...Object.fromEntries(found.map((each, index) => [`gradient${index}`, each!])) };
  const fn = compile(graph, outputs);
  const random = seededNumbers(name);
  const values = shapes.map((shape) => {
    const lengths = shape.map(sizeOf);
    const count = lengths.reduce((a, b) => a * b, 1);
    return {
      lengths,
      data: Float32Array.from({ length: count }, () => within[0] + (within[1] - within[0]) * random()),
    };
  });
  const eager = inScope(() => {
    const tensor = cases[name]!.eager(...values.map(({ data, lengths }) => tf.tensor(data, lengths)));
    return { shape: tensor.shape, data: tensor.dataSync<'float32'>() };
  });
  const weightValues = Float32Array.from({ length: eager.data.length }, () => random() - 0.5);
  const run = (data: readonly Float32Array[]): Record<string, Float32Array> => {
    const feeds = Object.fromEntries(
      values.map(({ lengths }, index) => [`operand${index}`, NativeTensor.of(data[index]!, lengths)]),
    );
    const all = { ...feeds, weights: NativeTensor.of(weightValues, eager.shape) };
    const results = fn.run(all);
    for (const feed of Object.values(all)) feed.dispose();
    return Object.fromEntries(Object.entries(results).map(([key, tensor]) => [key, tensor.take() as Float32Array]));
  };
  return { values, run, eager, weightValues, dispose: () => fn.dispose() };
}

/** Frees the tensors made on the way; what is returned holds none. */
function inScope<T>(compute: () => T): T {
  tf.engine().startScope();
  try {
    return compute();
  } finally {
    tf.engine().endScope();
  }
}

function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  expect(actual.length).toBe(expected.length);
  for (let index = 0; index < expected.length; index++) {
    const difference = Math.abs(actual[index]! - expected[index]!);
    expect(difference, `element ${index}: ${actual[index]} for ${expected[index]}`).toBeLessThanOrEqual(
      tolerance * Math.max(1, Math.abs(expected[index]!)),
    );
  }
}

describe('every operation', () => {
  const disposals: (() => void)[] = [];
  afterAll(() => disposals.forEach((dispose) => dispose()));

  it.each(Object.keys(cases))('%s gives the numbers and the gradients of the eager operations', (name) => {
    const { values, run, eager, weightValues, dispose } = computed(cases[name]!, name);
    disposals.push(dispose);
    const results = run(values.map(({ data }) => data));
    expectClose(results['result']!, eager.data, 1e-5);
    tf.tidy(() => {
      const operands = values.map(({ data, lengths }) => tf.tensor(data, lengths));
      const found = tf.grads((...all: tf.Tensor[]) =>
        tf.sum(tf.mul(cases[name]!.eager(...all), tf.tensor(weightValues, eager.shape))),
      )(operands);
      found.forEach((gradient, index) => {
        expectClose(results[`gradient${index}`]!, gradient.dataSync(), 1e-5);
      });
    });
  });

  it.each(Object.keys(cases).filter((name) => name !== 'stopped gradient'))(
    '%s has the gradients that finite differences give',
    (name) => {
      const { values, run, dispose } = computed(cases[name]!, name);
      disposals.push(dispose);
      const data = values.map((value) => value.data);
      const results = run(data);
      data.forEach((operand, index) => {
        for (const element of new Set([0, operand.length >> 1, operand.length - 1])) {
          const slope = (step: number): number => {
            const at = (value: number): number => {
              const moved = data.map((each) => each.slice());
              moved[index]![element] = value;
              return run(moved)['total']![0]!;
            };
            const [high, low] = [Math.fround(operand[element]! + step), Math.fround(operand[element]! - step)];
            return (at(high) - at(low)) / (high - low);
          };
          // Richardson's extrapolation: the error is of the fourth order in the step.
          const expected = (4 * slope(0.02) - slope(0.04)) / 3;
          expectClose([results[`gradient${index}`]![element]!], [expected], 1e-4);
        }
      });
    },
  );
});

describe('log-probabilities of labels', () => {
  it('are right where probabilities are too small for 32-bit floats', () => {
    const graph = new Graph();
    const logits = graph.input('logits', 'float32', ['n', 3]);
    const one = graph.constant(Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1), [3, 3]);
    const fn = compile(graph, {
      logProbs: labelLogProbs([{ x: logits, weight: one }], graph.input('labels', 'int32', ['n'])),
    });
    const feeds = {
      logits: NativeTensor.of(Float32Array.of(200, 0, -300, 1000, 1000, -1000), [2, 3]),
      labels: NativeTensor.of(Int32Array.of(2, 1), [2]),
    };
    expectClose(fn.run(feeds).logProbs.take(), [-500, -Math.log(2)], 1e-6);
    for (const feed of Object.values(feeds)) feed.dispose();
    fn.dispose();
  });
});

describe('gradients', () => {
  it('add up where a tensor is used several times, and are undefined where it is not used', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', []);
    const unused = graph.input('unused', 'float32', [2]);
    const [dx, none] = gradients(add(multiply(x, multiply(x, x)), multiply(x, 5)), [x, unused]);
    expect(none).toBeUndefined();
    const fn = compile(graph, { dx: dx! });
    const three = NativeTensor.of(Float32Array.of(3), []);
    expect(fn.run({ x: three }).dx.take()).toEqual(Float32Array.of(3 * 9 + 5));
    three.dispose();
    fn.dispose();
  });

  it('name an operation that has none', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['n']);
    const [odd] = graph.add('Sinh', [x], { T: { $case: 'type', value: 1 } }, [x]);
    expect(() => gradients(sum(odd!), [x])).toThrow('Sinh has no gradient');
  });

  it('are taken of a scalar only', () => {
    const x = new Graph().input('x', 'float32', ['n']);
    expect(() => gradients(x, [x])).toThrow('without axes');
  });
});
