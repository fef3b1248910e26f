// Reads the adapters that check_adapters.py saved with PEFT, and compares what they compute here with what they compute there.
//
//   node --conditions=@infalign/source --import tsx tools/transformers-test/check-adapters.mjs FOLDER
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createLanguageModel, openAdapters, openPretrained } from '@infalign/language-model';
import '@tensorflow/tfjs-node';
import { createEagerModel } from '../../libs/language-model/src/eager/eager-model.js';
import { eagerLogits } from './eager-logits.mjs';

const folder = process.argv[2];
const read = (name) => JSON.parse(readFileSync(join(folder, name), 'utf8'));
const { texts } = read('expected.json');
const theirs = read('peft.json');
let failures = 0;
let checks = 0;
function isClose(title, ours, expected) {
  const largest = expected.reduce((most, value, index) => Math.max(most, Math.abs(value - ours[index])), 0);
  const passed = ours.length === expected.length && largest <= 1e-4;
  checks++;
  if (!passed) failures++;
  console.log(
    `${passed ? 'ok  ' : 'FAIL'} ${title}: ${ours.length} numbers, largest difference ${largest.toExponential(1)}`,
  );
}

const policy = openAdapters(join(folder, 'peft-policy'), openPretrained(join(folder, 'policy')));
isClose(
  "logits with PEFT's adapters",
  texts.flatMap((text) => Array.from(eagerLogits(policy.config, policy.weights, text))),
  theirs.logits.flat(),
);
const reward = openAdapters(join(folder, 'peft-reward'), openPretrained(join(folder, 'reward')));
const sequences = texts.map((text) => ({ promptTokens: text.slice(0, 1), responseTokens: text.slice(1) }));
for (const [name, create] of Object.entries({ eager: createEagerModel, graph: createLanguageModel })) {
  const model = create(reward.config, reward.weights);
  isClose(`${name} rewards with PEFT's adapters and head`, Array.from(model.rewards(sequences)), theirs.rewards);
  const scorer = create(policy.config, policy.weights);
  let row = 0;
  const expected = texts.flatMap((text) => {
    const start = row;
    row += text.length;
    return text.slice(1).map((token, index) => logSoftmaxAt(theirs.logits[start + index], token));
  });
  isClose(
    `${name} log-probabilities with PEFT's adapters`,
    scorer.responseLogProbs(sequences, 1).flatMap((values) => Array.from(values)),
    expected,
  );
}

function logSoftmaxAt(logits, token) {
  const largest = Math.max(...logits);
  return logits[token] - largest - Math.log(logits.reduce((sum, logit) => sum + Math.exp(logit - largest), 0));
}

console.log(`${checks - failures} passed, ${failures} failed`);
process.exitCode = failures ? 1 : 0;
