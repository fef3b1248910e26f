// Our side of the benchmarks: carries out commands, one JSON object a line, and answers each with one line.
//
// Every call is timed here, whole, without what it takes to send it. See tools/bench/peers/worker.mjs.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { loadBackend } from '@infalign/backend';
import { seededRandom } from '@infalign/core';
import { serve } from '../peers/serve.mjs';
import { textSequence, textTrainer } from './text-trainer.mjs';

/** What is loaded after the device has been chosen: TensorFlow reads once where it is to compute. */
let models;
let model;
let trainer;
let calls = 0;

const commands = {
  async start() {
    await loadBackend({ environment: process.env });
    models = await import('@infalign/language-model');
    const tf = await import('@tensorflow/tfjs-node');
    return { tfjs: tf.version['tfjs-core'], tensorflow: tf.backend().binding.TF_Version };
  },

  /** Writes a model that is not trained, but far from its initialisation too, as a Hugging Face folder. */
  write({ config, folder }) {
    const weights = new Map(
      [...models.initialWeights(config, ['language-model'], 1)].map(([name, { shape, data }]) => {
        const random = seededRandom('weights', name);
        return [name, { shape, data: data.map((value) => value + 0.05 * random.normal()) }];
      }),
    );
    store(folder, { config, weights, tokenizerJson: '{}' });
  },

  /**
   * Writes a GGUF file as a Hugging Face folder, with another token that ends a text: one that is practically never drawn,
   * so that all responses have their full length.
   */
  convert: ({ file, folder, eosTokenId }) => {
    const { config, ...files } = models.openPretrained(file);
    store(folder, { ...files, config: { ...config, eosTokenId } });
  },

  load({ folder }) {
    const { config, weights } = models.openPretrained(folder);
    model?.dispose();
    model = models.createLanguageModel(config, weights);
    trainer = undefined;
  },

  /** Of every token but the first. */
  log_probs: ({ tokens }) => model.responseLogProbs(tokens.map(textSequence), 1).map((each) => Array.from(each)),

  /** Steps on the same batch. The loss and the gradient norm are those of the first. */
  train({ tokens, steps, learningRate, maxGradientNorm }) {
    trainer ??= textTrainer(model);
    const batch = tokens.map(textSequence);
    const { seconds, result } = timed(() =>
      Array.from({ length: steps }, () => trainer.step(batch, {}, { learningRate, maxGradientNorm, temperature: 1 })),
    );
    return { seconds, ...result[0] };
  },

  sample({ prompts, newTokens }) {
    const call = ++calls;
    const requests = prompts.map((promptTokens, index) => ({ promptTokens, randomSeed: [call, index] }));
    const settings = { temperature: 1, topK: 0, topP: 1, maxResponseTokens: newTokens };
    const { seconds, result } = timed(() => model.sample(requests, settings));
    return { seconds, tokens: result.reduce((sum, { responseTokens }) => sum + responseTokens.length, 0) };
  },
};

function store(folder, pretrained) {
  mkdirSync(folder, { recursive: true });
  for (const [name, content] of models.pretrainedFiles(pretrained)) writeFileSync(join(folder, name), content);
}

function timed(action) {
  const start = performance.now();
  const result = action();
  return { seconds: (performance.now() - start) / 1000, result };
}

await serve(commands);
