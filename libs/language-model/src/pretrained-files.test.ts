import { describe, expect, it } from 'vitest';
import { initialWeights, type LanguageModelConfig } from './definition.js';
import { pretrainedFiles, readPretrained } from './pretrained-files.js';

const config: LanguageModelConfig = {
  vocabSize: 11,
  hiddenSize: 8,
  intermediateSize: 12,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 16,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: false,
  eosTokenId: 0,
};
const asRead = (files: ReadonlyMap<string, string | Uint8Array>) =>
  new Map([...files].map(([name, content]) => [name, Buffer.from(content as string)]));

describe('pretrained files', () => {
  it.each([[['language-model']], [['language-model', 'value']], [['reward']]] as const)(
    'give back a model with the heads %j',
    (heads) => {
      const model = { config, weights: initialWeights(config, heads, 1), tokenizerJson: '{}' };
      expect(readPretrained(asRead(pretrainedFiles(model)), 'folder')).toEqual(model);
    },
  );

  it('keep the value head apart from what transformers loads', () => {
    const files = pretrainedFiles({
      config,
      weights: initialWeights(config, ['language-model', 'value'], 1),
      tokenizerJson: '{}',
    });
    expect(Buffer.from(files.get('model.safetensors')!).toString('latin1')).not.toContain('value_head');
    expect([...files.keys()]).toContain('value_head.safetensors');
  });

  it('are refused by name when one is missing or is another model’s', () => {
    const files = asRead(
      pretrainedFiles({ config, weights: initialWeights(config, ['language-model'], 1), tokenizerJson: '{}' }),
    );
    const without = new Map(files);
    without.delete('config.json');
    expect(() => readPretrained(without, 'folder')).toThrow('folder: has no config.json');
    files.set('config.json', Buffer.from(files.get('config.json')!.toString().replace('"llama"', '"gpt2"')));
    expect(() => readPretrained(files, 'folder')).toThrow(/config\.json: is not a model of the Llama family/);
  });
});
