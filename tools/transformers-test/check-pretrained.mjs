// Reads SmolLM2-135M-Instruct, and compares it with what compute_pretrained.py wrote of it. Stores it anew in FOLDER/stored.
//
//   node --conditions=@infalign/source --import tsx tools/transformers-test/check-pretrained.mjs MODEL.gguf FOLDER
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { decodeSafetensors, fileSource } from '@infalign/checkpoint';
import {
  chatTemplate,
  createLanguageModel,
  encodeTemplate,
  openPretrained,
  parseTokenizer,
  pretrainedFiles,
} from '@infalign/language-model';
import '@tensorflow/tfjs-node';
import { createEagerModel } from '../../libs/language-model/src/eager/eager-model.js';
import { parseGguf } from '../../libs/language-model/src/pretrained/gguf-file.js';
import { eagerLogits } from './eager-logits.mjs';

const [modelPath, folder] = process.argv.slice(2);
const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const arrays = (name) => decodeSafetensors(fileSource(join(folder, name)), name);
let checks = 0;
let failures = 0;
function check(title, passed, detail) {
  checks++;
  if (!passed) failures++;
  console.log(`${passed ? 'ok  ' : 'FAIL'} ${title}: ${detail}`);
}

/** The largest of `|a − b|`, or infinity where they differ in size. */
function largestDifference(a, b) {
  if (a.length !== b.length) return Infinity;
  let largest = 0;
  for (let index = 0; index < a.length; index++) {
    const difference = Math.abs(a[index] - b[index]);
    if (!(difference <= largest)) largest = difference;
  }
  return largest;
}

/** Compares all weights. `scale` gives what a difference of a weight is measured in. */
function checkWeights(title, ours, theirs, tolerance, scale = () => 1) {
  const names = [...ours.keys()].sort().join() === [...theirs.keys()].sort().join();
  let largest = 0;
  let count = 0;
  for (const [name, { shape, data }] of theirs) {
    const own = ours.get(name);
    if (own?.shape.join() !== shape.join()) largest = Infinity;
    else {
      const sized = (weights) => weights.map((weight, index) => weight / scale(data[index]));
      largest = Math.max(largest, largestDifference(sized(own.data), sized(data)));
    }
    count += data.length;
  }
  check(
    title,
    names && largest <= tolerance,
    `${theirs.size} tensors, ${count} weights, largest difference ${largest}`,
  );
}

const texts = read('texts.json').texts;
const reference = read('reference.json');

const blocks = parseGguf(fileSource(join(folder, 'blocks.gguf')), 'blocks.gguf');
for (const [name, { data }] of arrays('blocks.safetensors')) {
  const difference = largestDifference(blocks.tensor(name), data);
  check(`${name} blocks`, difference <= 1e-6, `${data.length} numbers, largest difference ${difference}`);
}

const start = performance.now();
const model = openPretrained(modelPath);
const seconds = ((performance.now() - start) / 1000).toFixed(1);
console.log(`read in ${seconds} s, resident memory ${Math.round(process.memoryUsage().rss / 2 ** 20)} MiB`);
const weights = arrays('weights.safetensors');
checkWeights('GGUF, dequantised weights', model.weights, weights, 1e-6);
// Half of the last place: bfloat16 has 8 bits of precision, float16 11, and none below 2^-24.
const roundings = [
  ['bfloat16', (weight) => 2 ** -8 * Math.abs(weight) + 2 ** -133],
  ['float16', (weight) => 2 ** -11 * Math.abs(weight) + 2 ** -25],
];
for (const [name, rounding] of roundings) {
  const stored = openPretrained(join(folder, name));
  checkWeights(`${name} folder, in units of its rounding`, stored.weights, weights, 1, rounding);
  const close = Math.abs(stored.config.rmsNormEpsilon - model.config.rmsNormEpsilon) < 1e-12;
  const rest = { ...stored.config, rmsNormEpsilon: model.config.rmsNormEpsilon };
  check(
    `${name} folder, configuration`,
    close && JSON.stringify(rest) === JSON.stringify(model.config),
    JSON.stringify(rest),
  );
  checkTokenizer(`${name} folder`, stored);
}
checkTokenizer('GGUF', model);

function checkTokenizer(title, { tokenizerJson, tokenizerConfigJson }) {
  const tokenizer = parseTokenizer(tokenizerJson, 'tokenizer.json', tokenizerConfigJson);
  const compare = (what, ours, theirs) => {
    const wrong = texts.filter((_, index) => JSON.stringify(ours[index]) !== JSON.stringify(theirs[index]));
    const shown = wrong.slice(0, 3).map((text) => JSON.stringify(text.slice(0, 80)));
    const size = theirs.reduce((sum, { length }) => sum + length, 0);
    check(`${title}, ${what}`, wrong.length === 0, `${texts.length} texts, ${size} in all; different: ${shown}`);
  };
  compare(
    'token ids of text',
    texts.map((text) => Array.from(tokenizer.encode(text))),
    reference.text,
  );
  const inTemplate = texts.map((text) => Array.from(encodeTemplate(tokenizer, text)));
  compare('token ids with special tokens', inTemplate, reference.template);
  compare(
    'decoded text',
    inTemplate.map((tokens) => tokenizer.decode(tokens)),
    reference.decoded,
  );
  check(
    `${title}, special tokens`,
    tokenizer.endOfText === 2 && tokenizer.padding === 2,
    `${tokenizer.specialTokens.size}`,
  );
}

const chat = chatTemplate(model, modelPath);
const otherChats = reference.chats.filter(
  ({ conversation, add_generation_prompt: addGenerationPrompt, text }) =>
    chat.render(conversation, { addGenerationPrompt }) !== text,
);
check(
  'chat template',
  otherChats.length === 0,
  `${reference.chats.length} chats; different: ${JSON.stringify(otherChats)}`,
);
const given = read('texts.json');
const otherPrompts = given.prompts.flatMap(({ conversation }, index) =>
  conversation !== undefined &&
  chat.encode(given.conversations[conversation], { addGenerationPrompt: true }).join() !==
    reference.prompts[index].tokens.join()
    ? [conversation]
    : [],
);
check('chat template, tokens', otherPrompts.length === 0, `different: ${otherPrompts.join()}`);

const expectedLogits = arrays('logits.safetensors');
const executors = {
  eager: createEagerModel(model.config, model.weights),
  graph: createLanguageModel(model.config, model.weights),
};
reference.prompts.forEach(({ tokens, greedy }, index) => {
  const { data } = expectedLogits.get(`logits.${index}`);
  const difference = largestDifference(eagerLogits(model.config, model.weights, tokens), data);
  check(`prompt ${index}, logits`, difference <= 1e-3, `${tokens.length} positions, largest difference ${difference}`);
  const theirs = tokens.slice(1).map((token, position) => logSoftmaxAt(row(data, position), token));
  for (const [name, executor] of Object.entries(executors)) {
    const sequence = { promptTokens: tokens.slice(0, 1), responseTokens: tokens.slice(1) };
    const gap = largestDifference(executor.responseLogProbs([sequence], 1)[0], theirs);
    check(`prompt ${index}, ${name} log-probabilities`, gap <= 1e-3, `${theirs.length}, largest difference ${gap}`);
    const [{ responseTokens }] = executor.sample([{ promptTokens: tokens, randomSeed: [0] }], {
      temperature: 1,
      topK: 1,
      topP: 1,
      maxResponseTokens: 64,
    });
    check(`prompt ${index}, ${name} greedy text`, responseTokens.join() === greedy.join(), `${greedy.length} tokens`);
  }
});

function row(logits, position) {
  return logits.subarray(position * model.config.vocabSize, (position + 1) * model.config.vocabSize);
}

function logSoftmaxAt(logits, token) {
  const largest = logits.reduce((a, b) => Math.max(a, b));
  return logits[token] - largest - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
}

mkdirSync(join(folder, 'stored'));
for (const [name, content] of pretrainedFiles(model)) writeFileSync(join(folder, 'stored', name), content);
console.log(`${checks - failures} passed, ${failures} failed`);
process.exitCode = failures ? 1 : 0;
