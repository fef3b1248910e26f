// One point of `bench:scale`: reads its settings from standard input, writes seconds and MiB to standard output, as JSON.
import { text } from 'node:stream/consumers';
import { seededRandom } from '@infalign/core';
import { createLanguageModel, initialWeights } from '@infalign/language-model';
import '@tensorflow/tfjs-node';
import { median } from '../median.mjs';
import { textSequence, textTrainer } from '../model/text-trainer.mjs';

const { width, layers, tokens, sequences, prompts, samples, work, repetitions } = JSON.parse(await text(process.stdin));
const vocabSize = 1024;
const config = {
  vocabSize,
  hiddenSize: width,
  intermediateSize: Math.round((8 * width) / 3 / 32) * 32,
  layers,
  heads: width / 32,
  keyValueHeads: width / 32,
  maxPositions: 2 * tokens,
  ropeTheta: 10_000,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};
const model = createLanguageModel(config, initialWeights(config, ['language-model'], 1));
const random = seededRandom('bench-scale');
const randomTokens = (count) => Array.from({ length: count }, () => 1 + random.integer(vocabSize - 1));

function training() {
  const trainer = textTrainer(model);
  const batch = Array.from({ length: sequences }, () => textSequence(randomTokens(tokens)));
  return () => trainer.step(batch, {}, { learningRate: 1e-4, maxGradientNorm: 1, temperature: 1 });
}

/** Prompts and responses of the same length. */
function sampling() {
  const texts = Array.from({ length: prompts }, () => randomTokens(tokens));
  const requests = texts.flatMap((promptTokens, prompt) =>
    Array.from({ length: samples }, (_, index) => ({ promptTokens, randomSeed: [prompt, index] })),
  );
  return () => model.sample(requests, { temperature: 1, topK: 0, topP: 1, maxResponseTokens: tokens });
}

const run = work === 'training' ? training() : sampling();
const before = process.memoryUsage.rss();
for (let warm = 0; warm < 2; warm++) run();
const times = Array.from({ length: repetitions }, () => {
  const start = performance.now();
  run();
  return (performance.now() - start) / 1000;
});
const mebibytes = (process.resourceUsage().maxRSS * 1024 - before) / 2 ** 20;
process.stdout.write(JSON.stringify({ seconds: median(times), mebibytes }));
