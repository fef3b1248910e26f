// A process of its own, because TensorFlow tells of XLA once in each: computes the same with XLA and without it, at two sizes and
// several times at once, and writes both results to standard output, as JSON.
import '@tensorflow/tfjs-node';
import { compile, Graph, gradients, matMul, NativeTensor, softmax, square, sum } from './index.js';

const graph = new Graph();
const x = graph.input('x', 'float32', ['n', 3]);
const w = graph.input('w', 'float32', [4, 3]);
const y = softmax(matMul(x, w, { transposeB: true }));
const [dw] = gradients(sum(square(y)), [w]);
const results = [false, true].map((xla) => {
  const fn = compile(graph, { y, dw: dw! }, { xla });
  const feeds = [2, 5].map((rows) => ({
    x: NativeTensor.of(
      Float32Array.from({ length: 3 * rows }, (_, index) => Math.sin(index)),
      [rows, 3],
    ),
    w: NativeTensor.of(
      Float32Array.from({ length: 12 }, (_, index) => Math.cos(index)),
      [4, 3],
    ),
  }));
  return [fn.run(feeds[0]!), ...fn.runTogether(feeds)].map((outputs) =>
    Object.values(outputs).map((tensor) => Array.from(tensor.take() as Float32Array)),
  );
});
process.stdout.write(JSON.stringify(results));
