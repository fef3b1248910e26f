import { describe, expect, it } from 'vitest';
import { initialWeights, type LanguageModelConfig } from '../definition.js';
import { pretrainedFiles, readPretrained } from './pretrained-files.js';

const config: LanguageModelConfig = {
  vocabSize: 260,
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
    const headless = new Map(files);
    headless.set(
      'model.safetensors',
      Buffer.from(
        pretrainedFiles({ config, weights: initialWeights(config, [], 1), tokenizerJson: '{}' }).get(
          'model.safetensors',
        ) as Uint8Array,
      ),
    );
    expect(() => readPretrained(headless, 'folder')).toThrow(
      'folder/model.safetensors: lacks lm_head.weight, which a LlamaForCausalLM has',
    );
  });

  it.each([
    [{ model_type: 'gpt2' }, 'model_type is "gpt2", but has to be llama'],
    [{ architectures: ['LlamaModel'] }, 'architectures is "LlamaModel", but has to be LlamaForCausalLM or'],
    [{ hidden_act: 'gelu' }, 'hidden_act is "gelu", but has to be silu'],
    [{ attention_bias: true }, 'attention_bias is true, but has to be false'],
    [{ rope_scaling: { rope_type: 'llama3' } }, 'rope_scaling is {"rope_type":"llama3"}, but has to be null or of'],
    [{ rope_theta: null }, 'rope_theta is null, but has to be a number above 0'],
    [{ num_hidden_layers: 1.5 }, 'num_hidden_layers is 1.5, but has to be a whole number'],
    [{ num_attention_heads: 3 }, 'hidden_size is 8, but has to be a multiple of 2·3'],
    [{ num_key_value_heads: 4 }, 'num_key_value_heads is 4, but has to divide 2'],
    [{ rope_parameters: { rope_type: 'yarn' } }, 'rope_parameters is {"rope_type":"yarn"}, but has to be null or of'],
    [{ rope_theta: undefined, rope_parameters: { rope_theta: 'x' } }, 'rope_theta is "x", but has to be a number'],
    [{ head_dim: 8 }, 'head_dim is 8, but has to be 4'],
    [{ tie_word_embeddings: 1 }, 'tie_word_embeddings is 1, but has to be true or false'],
    [{ eos_token_id: [] }, 'eos_token_id is [], but has to be a token'],
    [{ eos_token_id: [0, 'x'] }, 'eos_token_id is [0,"x"], but has to be a token, of 260'],
    [{ eos_token_id: 260 }, 'eos_token_id is 260, but has to be a token, of 260'],
    [{ vocab_size: undefined }, 'vocab_size is undefined, but has to be a number above 0'],
  ])('are refused for a config.json with %j', (change, problem) => {
    const files = asRead(
      pretrainedFiles({ config, weights: initialWeights(config, ['language-model'], 1), tokenizerJson: '{}' }),
    );
    const file = JSON.parse(files.get('config.json')!.toString()) as Record<string, unknown>;
    files.set('config.json', Buffer.from(JSON.stringify({ ...file, ...change })));
    expect(() => readPretrained(files, 'folder')).toThrow(`folder/config.json: ${problem}`);
  });

  it.each(['{', 'null'])('are refused for a config.json that is %s', (text) => {
    const files = asRead(
      pretrainedFiles({ config, weights: initialWeights(config, ['reward'], 1), tokenizerJson: '{}' }),
    );
    files.set('config.json', Buffer.from(text));
    expect(() => readPretrained(files, 'folder')).toThrow(/^folder\/config\.json: /);
  });
});
