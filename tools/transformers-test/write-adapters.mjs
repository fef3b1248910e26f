// Writes models, adapters that were trained beside them, and FOLDER/expected.json: what our own executors say of both together.
//
//   node --conditions=@infalign/source --import tsx tools/transformers-test/write-adapters.mjs FOLDER
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '@infalign/core';
import {
  adapterFiles,
  createLanguageModel,
  initialWeights,
  pretrainedFiles,
  withHeads,
} from '@infalign/language-model';
import { preferenceLoss } from '@infalign/rl';
import '@tensorflow/tfjs-node';
import { eagerLogits } from './eager-logits.mjs';

const folder = process.argv[2];
const base = {
  vocabSize: 320,
  hiddenSize: 48,
  intermediateSize: 80,
  layers: 3,
  heads: 6,
  keyValueHeads: 2,
  maxPositions: 64,
  ropeTheta: 500,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const training = { learningRate: 1e-2, maxGradientNorm: 1, temperature: 1 };
const textLoss = {
  inputs: {},
  compute: (math, outputs) => ({ loss: math.negative(math.mean(outputs.logProbs())) }),
};
const rewardLoss = {
  inputs: {},
  compute(math, outputs) {
    const { chosen, rejected } = outputs.preferences();
    return { loss: preferenceLoss(math, chosen, rejected) };
  },
};

function text(length, ...seed) {
  const random = seededRandom('text', ...seed);
  return Array.from({ length }, () => random.integer(base.vocabSize));
}
const texts = [2, 9, 33, 64].map((length) => text(length, length));
const asSequence = (all) => ({ promptTokens: all.slice(0, 1), responseTokens: all.slice(1) });

function write(place, files) {
  mkdirSync(join(folder, place), { recursive: true });
  for (const [name, content] of files) writeFileSync(join(folder, place, name), content);
}

/** A model far from its initialisation: no gain is 1. */
function randomModel(head) {
  return new Map(
    [...initialWeights(base, [head], 1)].map(([name, { shape, data }]) => {
      const random = seededRandom('weights', name);
      return [name, { shape, data: data.map((value) => value + 0.15 * random.normal()) }];
    }),
  );
}

/** Trains adapters beside a model, and stores both. @returns all weights, and the model, which the caller disposes of */
function trainAdapters(name, head, loss, adapters) {
  const config = { ...base, adapters };
  const weights = withHeads(config, randomModel(head), [head], 3);
  const model = createLanguageModel(config, weights);
  const trainer = model.trainer(loss, adam);
  for (let step = 0; step < 20; step++) {
    trainer.step(
      Array.from({ length: 8 }, (_, row) => asSequence(text(12, head, row))),
      {},
      training,
    );
  }
  write(`${name}/adapters`, adapterFiles({ config, weights: model.weights() }));
  write(name, pretrainedFiles({ config: base, weights: randomModel(head), tokenizerJson: '{}' }));
  const all = new Map([...weights, ...model.weights()]);
  write(`${name}/merged`, pretrainedFiles({ config, weights: all, tokenizerJson: '{}' }));
  return { config, weights: all, model };
}

const everywhere = ['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj'];
const policy = trainAdapters('policy', 'language-model', textLoss, { rank: 4, alpha: 6, targets: everywhere });
const reward = trainAdapters('reward', 'reward', rewardLoss, { rank: 2, alpha: 4, targets: ['v_proj', 'q_proj'] });
const expected = {
  texts,
  logits: texts.map((all) => Array.from(eagerLogits(policy.config, policy.weights, all))),
  rewards: Array.from(reward.model.rewards(texts.map(asSequence))),
};
writeFileSync(join(folder, 'expected.json'), JSON.stringify(expected));
