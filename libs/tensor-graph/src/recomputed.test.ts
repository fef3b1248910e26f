import { readFileSync, writeFileSync } from 'node:fs';
import '@tensorflow/tfjs-node';
import { describe, expect, it } from 'vitest';
import {
  add,
  compile,
  gradients,
  Graph,
  hyperbolicTangent,
  matMul,
  multiply,
  NativeTensor,
  recomputed,
  sigmoid,
  sum,
  type GraphTensor,
} from './index.js';
import { seededNumbers } from './seeded-numbers.fixture.js';

/** Applies a function directly, or so that it is computed again. */
type Applied = (x: GraphTensor, f: (x: GraphTensor) => GraphTensor) => GraphTensor;
const directly: Applied = (x, f) => f(x);

function numbers(seed: string, count: number): Float32Array {
  const next = seededNumbers(seed);
  return Float32Array.from({ length: count }, () => next() - 0.5);
}

/** Runs the gradients of a scalar in the inputs of a graph. */
function gradientsOf(
  define: (graph: Graph, apply: Applied) => { readonly y: GraphTensor; readonly xs: Record<string, GraphTensor> },
  apply: Applied,
  feeds: Readonly<Record<string, NativeTensor>>,
): Record<string, Float32Array> {
  const graph = new Graph();
  const { y, xs } = define(graph, apply);
  const found = gradients(y, Object.values(xs));
  const fn = compile<string>(graph, Object.fromEntries(Object.keys(xs).map((name, index) => [name, found[index]!])));
  try {
    const results = fn.run(feeds);
    return Object.fromEntries(Object.entries(results).map(([name, value]) => [name, value.take() as Float32Array]));
  } finally {
    fn.dispose();
  }
}

describe('what is computed again for its gradient', () => {
  const feeds = {
    x: NativeTensor.of(numbers('x', 6), [2, 3]),
    w: NativeTensor.of(numbers('w', 9), [3, 3]),
    v: NativeTensor.of(numbers('v', 3), [3]),
  };

  it('has the same gradients, in what it uses too, where parts share weights and follow each other', () => {
    const define = (graph: Graph, apply: Applied) => {
      const x = graph.input('x', 'float32', ['rows', 3]);
      const w = graph.input('w', 'float32', [3, 3]);
      const v = graph.input('v', 'float32', [3]);
      // Depends on w, and is used inside beside w: the gradient in w must count each way once.
      const outside = sum(multiply(w, w), { axes: [0] });
      let y = add(matMul(x, w), v);
      for (let part = 0; part < 3; part++) {
        y = apply(y, (z) => add(z, multiply(hyperbolicTangent(matMul(z, w)), add(outside, v))));
      }
      return { y: sum(multiply(y, y)), xs: { x, w, v } };
    };
    const expected = gradientsOf(define, directly, feeds);
    const actual = gradientsOf(define, recomputed, feeds);
    for (const [name, values] of Object.entries(expected)) {
      const largest = Math.max(...values.map(Math.abs));
      values.forEach((value, index) => {
        expect(Math.abs(actual[name]![index]! - value), `${name}[${index}]`).toBeLessThan(1e-6 * largest);
      });
      expect(largest).toBeGreaterThan(0.1);
    }
  });

  it('says so where a tensor would be used again instead of being made anew', () => {
    const graph = new Graph();
    const x = graph.input('x', 'float32', ['rows']);
    let kept: GraphTensor | undefined;
    const y = recomputed(x, (z) => multiply(z, (kept ??= sigmoid(z))));
    expect(() => gradients(sum(y), [x])).toThrow('instead of being made anew');
  });

  it.skipIf(process.platform !== 'linux')('takes the memory of one part instead of that of all', () => {
    const [parts, steps, size] = [12, 8, 2 ** 20];
    const mebibytes = (size * 4) / 2 ** 20;
    const x = NativeTensor.of(numbers('large', size), [size]);
    const peak = (apply: Applied): number => {
      const define = (graph: Graph) => {
        const input = graph.input('x', 'float32', ['size']);
        let y = input;
        for (let part = 0; part < parts; part++) {
          y = apply(y, (z) => {
            let w = z;
            // Its gradient needs what it gives: kept, all of them stay.
            for (let step = 0; step < steps; step++) w = hyperbolicTangent(w);
            return w;
          });
        }
        return { y: sum(y), xs: { x: input } };
      };
      gradientsOf(define, apply, { x });
      return (memory('VmHWM') - before) / mebibytes;
    };
    // The smaller first: memory that was used once may stay with the process.
    const before = memory('VmRSS');
    const again = peak(recomputed);
    const whole = peak(directly);
    expect(whole).toBeGreaterThan(0.8 * parts * steps);
    // One tensor a part, one part, and what gradients need beside them.
    expect(again).toBeLessThan(parts + 3 * steps);
    x.dispose();
  });
});

/** Resident memory of this process, now (VmRSS) or at most so far (VmHWM), in MiB. */
function memory(field: 'VmRSS' | 'VmHWM'): number {
  if (field === 'VmRSS') writeFileSync('/proc/self/clear_refs', '5'); // Lowers the other to this.
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))![1]) / 1024;
}
