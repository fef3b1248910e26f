import { existsSync, readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as tf from '@tensorflow/tfjs-node';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  add,
  clipByGlobalNorm,
  compile,
  concatenate,
  createAdam,
  createGradientDescent,
  disposeAll,
  firstRows,
  gather,
  gradients,
  Graph,
  matMul,
  multiply,
  NativeTensor,
  product,
  quotient,
  range,
  reshape,
  ShapeError,
  split,
  square,
  sum,
  transpose,
  Variable,
  writeRowsInPlace,
  type Feed,
  type GraphFunction,
} from './index.js';

const vector = (...values: number[]): NativeTensor => NativeTensor.of(Float32Array.from(values), [values.length]);
const integers = (...values: number[]): NativeTensor => NativeTensor.of(Int32Array.from(values), [values.length]);
const alive = (): number =>
  (tf.backend() as unknown as { binding: { getNumOfTensors(): number } }).binding.getNumOfTensors();

/** Runs a function on tensors that are used once, and gives the elements of its outputs. */
function once<Output extends string>(
  fn: GraphFunction<Output>,
  inputs: Record<string, NativeTensor>,
  outputs?: readonly Output[],
): Record<string, number[]> {
  const results = fn.run(inputs, outputs);
  for (const input of Object.values(inputs)) input.dispose();
  return Object.fromEntries(
    Object.entries<NativeTensor>(results).map(([name, tensor]) => [name, Array.from(tensor.take())]),
  );
}

describe('dimensions', () => {
  const dimension = fc.oneof(fc.integer({ min: 1, max: 9 }), fc.constantFrom('batch', 'time', '3·batch', 'n·time'));

  it('multiply in any order to one spelling, and divide again', () => {
    fc.assert(
      fc.property(fc.array(dimension, { minLength: 1, maxLength: 5 }), (all) => {
        const whole = product(...all);
        expect(product(...[...all].reverse())).toBe(whole);
        expect(quotient(whole, all[0]!)).toBe(product(...all.slice(1)));
      }),
      { seed: 1 },
    );
    expect(product('time', 2, 'batch', 3)).toBe('6·batch·time');
    expect(quotient('batch', 'time')).toBeUndefined();
    expect(quotient('3·batch', 2)).toBeUndefined();
  });
});

describe('a graph that is defined', () => {
  const graph = new Graph();
  const a = graph.input('a', 'float32', ['batch', 3]);
  const b = graph.input('b', 'float32', ['time', 3]);
  const i = graph.input('i', 'int32', ['batch']);

  it.each<[string, () => unknown, string]>([
    ['sums', () => add(a, b), 'AddV2: [batch, 3] and [time, 3] do not broadcast'],
    ['matrix products', () => matMul(a, b), 'matMul: [batch, 3] and [time, 3] do not multiply'],
    ['transposed products', () => matMul(a, a, { transposeA: true, transposeB: true }), '[batch, 3] transposed'],
    ['reshapes', () => reshape(a, ['time', 3]), 'reshape: [batch, 3] does not have as many elements as [time, 3]'],
    ['transpositions', () => transpose(a, [0, 0]), '[0, 0] is no permutation of the axes of [batch, 3]'],
    ['axes', () => sum(a, { axes: [2] }), '[batch, 3] has no axis 2'],
    ['splits', () => split(a, [1, 1], 1), 'split: [batch, 3] has no parts of [1, 1] on axis 1'],
    ['concatenations', () => concatenate([a, b], 1), '[batch, 3] and [time, 3] along axis 1'],
    ['sums of unknown sizes without a name', () => concatenate([a, b], 0), 'has no name'],
    ['types', () => add(a, i), 'has to be of type float32'],
    ['row writes', () => writeRowsInPlace(a, i, b), '[time, 3] does not fit the rows [batch]'],
    ['constants', () => graph.constant(Float32Array.of(1, 2), [3]), '2 elements for the shape [3]'],
    ['unknown sizes', () => range(graph, 'heads'), 'no tensor of the graph has an axis heads'],
  ])('refuses operands that do not fit, with their shapes: %s', (_, build, message) => {
    expect(build).toThrow(ShapeError);
    expect(build).toThrow(message);
  });

  it('refuses tensors of another graph, and two inputs of one name', () => {
    const other = new Graph().input('x', 'float32', [3]);
    expect(() => add(a, other)).toThrow('another graph');
    expect(() => graph.input('a', 'float32', [1])).toThrow('already has an input a');
  });
});

describe('a compiled function', () => {
  it('serves all sizes, and leaves no file behind', () => {
    const folders = (): string[] => readdirSync(tmpdir()).filter((name) => name.startsWith('tensor-graph-'));
    const before = folders();
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['batch', 'time']);
    const fn = compile(graph, { flat: reshape(x, ['batch·time']), rows: range(graph, 'batch') });
    expect(folders().filter((name) => !before.includes(name) && existsSync(name))).toEqual([]);
    for (const [batch, time] of [
      [2, 3],
      [4, 1],
      [1, 5],
    ] as const) {
      const data = Float32Array.from({ length: batch * time }, (_, index) => index);
      const { flat, rows } = once(fn, { x: NativeTensor.of(data, [batch, time]) });
      expect(flat).toEqual(Array.from(data));
      expect(rows).toEqual([...Array(batch).keys()]);
    }
    fn.dispose();
    expect(() => fn.run({})).toThrow('disposed');
  });

  it('computes several choices of inputs at the same time as it computes each of them, whatever their sizes', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['n', 2]);
    graph.sizeInput('times');
    const cache = graph.input('cache', 'float32', ['slots', 2]);
    const kept = writeRowsInPlace(cache, graph.input('at', 'int32', ['n']), x);
    const fn = compile(graph, {
      total: sum(x),
      count: range(graph, product('times', 'n')),
      kept: firstRows(kept, 'n'),
    });
    const before = alive();
    const inputs = [1, 3, 2].map((n, copy) => ({
      x: NativeTensor.of(
        Float32Array.from({ length: 2 * n }, (_, index) => 10 * copy + index),
        [n, 2],
      ),
      cache: NativeTensor.zeros([4, 2]),
      at: integers(...Array.from({ length: n }, (_, row) => row)),
      times: copy + 1,
    }));
    const results = fn.runTogether(inputs);
    expect(results.map(({ total }) => total.read()[0])).toEqual([1, 10 * 6 + 15, 20 * 4 + 6]);
    expect(results.map(({ count }) => count.shape)).toEqual([[1], [6], [6]]);
    expect(results.map(({ kept: rows }) => [...rows.read()])).toEqual(inputs.map((each) => [...each.x.read()]));
    // Each has written into its own cache, and into no other.
    expect(inputs.map((each) => [...each.cache.read()].filter((value) => value !== 0).length)).toEqual([1, 6, 4]);
    results.forEach(disposeAll);
    expect(() => fn.runTogether([inputs[0]!, { ...inputs[1]!, x: inputs[0]!.x }])).toThrow('the input at is int32[3]');
    for (const { x: values, cache: own, at } of inputs) disposeAll({ values, own, at });
    expect(alive()).toBe(before);
    expect(fn.runTogether([])).toEqual([]);
    fn.dispose();
  });

  it('computes the outputs that are asked for, from the inputs that they need', () => {
    const graph = new Graph();
    const [x, y] = [graph.input('x', 'float32', ['n']), graph.input('y', 'float32', ['n'])];
    const fn = compile(graph, { doubled: multiply(x, 2), both: add(x, y) });
    expect(once(fn, { x: vector(1, 2) }, ['doubled'])).toEqual({ doubled: [2, 4] });
    expect(once(fn, { x: vector(1, 2), y: vector(5, 5) })).toEqual({ doubled: [2, 4], both: [6, 7] });
    expect(() => fn.run({ x: vector(1) })).toThrow('the input y is missing');
    fn.dispose();
  });

  it('are added without being changed', () => {
    const before = alive();
    const [a, b] = [vector(1, 2), vector(10, 20)];
    const sumOf = a.plus(b);
    expect([sumOf.read(), a.read(), b.read()].map((each) => Array.from(each))).toEqual([
      [11, 22],
      [1, 2],
      [10, 20],
    ]);
    expect(sumOf.shape).toEqual([2]);
    for (const tensor of [a, b, sumOf]) tensor.dispose();
    expect(alive()).toBe(before);
  });

  it('says which input does not fit, and what the names are', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['n', 2]);
    const y = graph.input('y', 'int32', ['2·n']);
    const fn = compile(graph, { x: multiply(x, 1), y: add(y, graph.constant(Int32Array.of(1), [])) });
    const matrix = (): NativeTensor => NativeTensor.of(new Float32Array(6), [3, 2]);
    expect(() => fn.run({ x: matrix(), y: integers(1, 2, 3) })).toThrow(
      'the input y is int32[3], but the graph declares int32[2·n] (n = 3)',
    );
    expect(() => fn.run({ x: vector(1, 2), y: integers(1) })).toThrow('float32[n, 2]');
    expect(() => fn.run({ x: matrix(), y: vector(1, 2, 3, 4, 5, 6) })).toThrow('the input y is float32[6]');
    expect(once(fn, { x: matrix(), y: integers(1, 2, 3, 4, 5, 6) }).y).toEqual([2, 3, 4, 5, 6, 7]);
    fn.dispose();
  });

  it('writes rows into an input in place, and reads the first rows', () => {
    const graph = new Graph();
    const cache = graph.input('cache', 'float32', ['rows', 2]);
    const places = graph.input('places', 'int32', ['n']);
    const written = writeRowsInPlace(cache, places, graph.input('values', 'float32', ['n', 2]));
    const fn = compile(graph, { first: firstRows(written, 'n') });
    const kept = NativeTensor.of(new Float32Array(8), [4, 2]);
    const values = NativeTensor.of(Float32Array.of(1, 2, 3, 4), [2, 2]);
    const { first } = fn.run({ cache: kept, places: integers(3, 1), values });
    expect(Array.from(first.take())).toEqual([0, 0, 3, 4]);
    expect(Array.from(kept.read())).toEqual([0, 0, 3, 4, 0, 0, 1, 2]);
    fn.dispose();
  });

  it('gives the same bytes for the same inputs', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['n', 64]);
    const w = graph.input('w', 'float32', [64, 64]);
    const loss = sum(square(matMul(gather(x, graph.input('i', 'int32', ['m'])), w)));
    const fn = compile(graph, { loss, dx: gradients(loss, [x])[0]! });
    const numbers = (count: number): Float32Array =>
      Float32Array.from({ length: count }, (_, index) => Math.sin(index * 12.9898));
    const run = (): Record<string, number[]> =>
      once(fn, {
        x: NativeTensor.of(numbers(300 * 64), [300, 64]),
        w: NativeTensor.of(numbers(64 * 64), [64, 64]),
        i: integers(...Array.from({ length: 900 }, (_, index) => (index * 7) % 300)),
      });
    const first = run();
    for (let round = 0; round < 5; round++) expect(run()).toEqual(first);
    fn.dispose();
  });
});

describe('variables and optimisers', () => {
  /** Minimises Σ(w·x)² over w; the gradient is 2x²w. */
  function quadratic(): GraphFunction<'gradient' | 'norm'> {
    const graph = new Graph();
    const w = graph.input('w', 'float32', [2]);
    const loss = sum(square(multiply(w, graph.input('x', 'float32', [2]))));
    const { clipped, norm } = clipByGlobalNorm(gradients(loss, [w]) as never, graph.input('maxNorm', 'float32', []));
    return compile(graph, { gradient: clipped[0]!, norm });
  }
  const scalar = (value: number): NativeTensor => NativeTensor.of(Float32Array.of(value), []);

  it('are read, assigned and changed in place', () => {
    const variable = new Variable(Float32Array.of(1, 2), [2]);
    variable.assign(Float32Array.of(3, 4));
    const optimiser = createGradientDescent(new Map([['w', variable]]));
    optimiser.step(new Map([['w', vector(10, -10)]]), 0.1);
    expect(Array.from(variable.read())).toEqual([2, 5]);
    variable.dispose();
    expect(() => variable.read()).toThrow('disposed');
  });

  it.each([0, 0.1])('Adam takes the steps of its paper, with a weight decay of %d', (weightDecay) => {
    const [beta1, beta2, epsilon, rate] = [0.8, 0.95, 1e-3, 0.05];
    const w = new Variable(Float32Array.of(1, -2), [2]);
    const adam = createAdam(new Map([['w', w]]), { beta1, beta2, epsilon, weightDecay });
    const fn = quadratic();
    const fixed: Record<string, Feed> = { x: vector(1, 3), maxNorm: scalar(Infinity), w };
    const [plain, m, v] = [
      [1, -2],
      [0, 0],
      [0, 0],
    ];
    for (let t = 1; t <= 20; t++) {
      const { gradient, norm } = fn.run(fixed);
      adam.step(new Map([['w', gradient]]), rate);
      gradient.dispose();
      const expected = [2 * plain[0]!, 18 * plain[1]!];
      expect(norm.take()[0]! / Math.hypot(...expected)).toBeCloseTo(1, 5);
      expected.forEach((g, index) => {
        plain[index]! *= 1 - rate * weightDecay;
        m[index] = beta1 * m[index]! + (1 - beta1) * g;
        v[index] = beta2 * v[index]! + (1 - beta2) * g * g;
        plain[index]! -= (rate * m[index]) / (1 - beta1 ** t) / (Math.sqrt(v[index] / (1 - beta2 ** t)) + epsilon);
      });
      w.read().forEach((value, index) => expect(value).toBeCloseTo(plain[index]!, 5));
    }
    adam.dispose();
    fn.dispose();
    w.dispose();
  });

  it('gradients are scaled down to a norm, and left alone below it', () => {
    const fn = quadratic();
    const at = (maxNorm: number): Record<string, number[]> =>
      once(fn, { x: vector(1, 1), w: vector(3, 4), maxNorm: scalar(maxNorm) });
    expect(at(20)).toEqual({ gradient: [6, 8], norm: [10] });
    expect(at(5)).toEqual({ gradient: [3, 4], norm: [10] });
    expect(once(fn, { x: vector(1, 1), w: vector(0, 0), maxNorm: scalar(5) }).gradient).toEqual([0, 0]);
    fn.dispose();
  });

  it('leave tensors and memory as they were after 1,000 steps', () => {
    const size = 10_000;
    const graph = new Graph();
    const w = graph.input('w', 'float32', [size]);
    const loss = sum(square(add(w, -1)));
    const fn = compile(graph, { loss, gradient: gradients(loss, [w])[0]! });
    const variable = new Variable(new Float32Array(size), [size]);
    const adam = createAdam(new Map([['w', variable]]), { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
    const step = (): number => {
      const { loss, gradient } = fn.run({ w: variable });
      adam.step(new Map([['w', gradient]]), 0.01);
      gradient.dispose();
      return loss.take()[0]!;
    };
    for (let warm = 0; warm < 200; warm++) step();
    const [tensors, memory] = [alive(), process.memoryUsage.rss()];
    let last = Infinity;
    for (let index = 0; index < 1000; index++) last = step();
    expect(alive()).toBe(tensors);
    expect(process.memoryUsage.rss() / memory).toBeLessThan(1.02);
    expect(last).toBeLessThan(1);
    adam.dispose();
    variable.dispose();
    fn.dispose();
  });
});
