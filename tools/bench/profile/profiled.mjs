// One profile of `bench:profile`, on one thread. Reads what to do from standard input; oneDNN writes its kernels to standard
// output, between the marks; the milliseconds of the whole follow, as JSON.
import { text } from 'node:stream/consumers';
import { createLanguageModel, initialWeights } from '@infalign/language-model';
import { add, compile, Graph, matMul, NativeTensor } from '@infalign/tensor-graph';
import '@tensorflow/tfjs-node';
import { cases } from '../model/cases.mjs';
import { randomTokens } from '../model/random-tokens.mjs';
import { textSequence, textTrainer } from '../model/text-trainer.mjs';

const request = JSON.parse(await text(process.stdin));

/** Products of large matrices, and sums of arrays that no cache holds: the most that this machine does. */
function limits() {
  const repetitions = 10;
  const fastest = (compute) => {
    const times = Array.from({ length: repetitions }, () => {
      const start = performance.now();
      compute().dispose();
      return performance.now() - start;
    });
    return Math.min(...times);
  };
  const side = 2048;
  const graph = new Graph();
  const a = graph.input('a', 'float32', [side, side]);
  const long = graph.input('long', 'float32', ['n']);
  const fn = compile(graph, { product: matMul(a, a), sum: add(long, long) });
  const square = NativeTensor.of(new Float32Array(side * side).fill(0.5), [side, side]);
  const elements = 2 ** 26;
  const array = NativeTensor.zeros([elements]);
  const product = fastest(() => fn.run({ a: square }, ['product']).product);
  const sum = fastest(() => fn.run({ long: array }, ['sum']).sum);
  // Two reads of the same array are one of memory; the result is written.
  return { gigaflops: (2 * side ** 3) / product / 1e6, gigabytes: (2 * 4 * elements) / sum / 1e6 };
}

function work({ name, kind }) {
  const { config, training, sampling } = cases[name];
  const model = createLanguageModel(config, initialWeights(config, ['language-model'], 1));
  if (kind === 'sampling') {
    const requests = randomTokens(config.vocabSize, sampling.prompts, sampling.promptTokens).map(
      (promptTokens, index) => ({ promptTokens, randomSeed: [index] }),
    );
    const settings = { temperature: 1, topK: 0, topP: 1, maxResponseTokens: sampling.newTokens };
    return () => model.sample(requests, settings);
  }
  const trainer = textTrainer(model);
  const batch = randomTokens(config.vocabSize, training.sequences, training.tokens + 1).map(textSequence);
  return () => trainer.step(batch, {}, { learningRate: 1e-4, maxGradientNorm: 1, temperature: 1 });
}

if (request.kind === 'limits') process.stdout.write(`\nend ${JSON.stringify(limits())}\n`);
else {
  const once = work(request);
  once();
  process.stdout.write('\nbegin\n');
  const start = performance.now();
  once();
  process.stdout.write(`\nend ${JSON.stringify({ milliseconds: performance.now() - start })}\n`);
}
