import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { initialWeights, trainTokenizer, type LanguageModelConfig } from '@infalign/language-model';
import { storeModel } from '@infalign/pipeline';
import { parseExperiment } from '@infalign/run-config';
import { afterAll, describe, expect, it } from 'vitest';
import { checkPretrained } from './pretrained-models.js';

const folder = mkdtempSync(join(tmpdir(), 'pretrained-models-'));
afterAll(() => rmSync(folder, { recursive: true }));

const tokenizer = trainTokenizer(['a rose is a rose is a rose'], 260);
const config: LanguageModelConfig = {
  vocabSize: tokenizer.vocabSize,
  hiddenSize: 8,
  intermediateSize: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 64,
  ropeTheta: 10_000,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: tokenizer.endOfText,
};

function stored(name: string, { head = 'language-model', reads = tokenizer, maxPositions = 64 } = {}): string {
  const own = { ...config, maxPositions };
  const weights = initialWeights(own, [head as 'language-model' | 'reward'], 1);
  storeModel(join(folder, name), { config: own, weights, tokenizerJson: reads.toJson() });
  return join(folder, name);
}

function check(path: string, rest = ''): ReturnType<typeof checkPretrained> {
  const text = `name: x
dataset: {kind: state-of-the-union}
runs: {target_kls: [0.3]}
model: {kind: pretrained, path: ${path}}
${rest}`;
  return checkPretrained(parseExperiment(text, 'x.yaml'));
}

describe('checkPretrained', () => {
  const policy = stored('policy');
  const judgedBy = (path: string) => `judge: {model: {kind: pretrained, path: ${path}}}\n`;

  it('gives the tokenizer of the policy', () => {
    expect(check(policy, judgedBy(stored('judge', { maxPositions: 128 }))).tokenizer.toJson()).toBe(tokenizer.toJson());
  });

  it('refuses what cannot be a policy or a judge, by the setting that names it', () => {
    expect(() => check(join(folder, 'none'))).toThrow(`${join(folder, 'none')}: is not there`);
    const reward = stored('reward', { head: 'reward' });
    expect(() => check(reward)).toThrow(`model.path: ${reward} is a reward model. Name a language model.`);
    expect(() => check(policy, 'prompts: {tokens: 44}\njudge: {model: {context: 65}}')).toThrow(
      `model.path: ${policy} reads at most 64 tokens, less than prompts.tokens + sampling.max_response_tokens + 1, which is 65.`,
    );
    const trained = stored('short', { maxPositions: 40 });
    expect(() => check(policy, judgedBy(`${trained}, training: {window: 41}`))).toThrow(
      `judge.model.path: ${trained} reads at most 40 tokens, less than its training.window, which is 41.`,
    );
  });

  it('refuses a judge that reads other tokens than the policy', () => {
    // As many tokens, from another text.
    const other = stored('other', { reads: trainTokenizer(['to be or not to be or not to be'], 260) });
    expect(() => check(policy, judgedBy(other))).toThrow(`judge.model.path: ${other} has another tokenizer`);
  });
});
