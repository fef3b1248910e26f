import { InputError } from '@infalign/core';
import { decodeSafetensors, encodeSafetensors } from '@infalign/checkpoint';
import { checkWeights, headSize, type LanguageModelConfig, type Weights } from './definition.js';

/** What Hugging Face's transformers loads a folder as. */
export type Architecture = 'LlamaForCausalLM' | 'LlamaForSequenceClassification';

/** A model as its files hold it. */
export interface Pretrained {
  readonly config: LanguageModelConfig;
  readonly weights: Weights;
  /** The text of its tokenizer.json. */
  readonly tokenizerJson: string;
}

const names = {
  config: 'config.json',
  generation: 'generation_config.json',
  weights: 'model.safetensors',
  tokenizer: 'tokenizer.json',
  tokenizerConfig: 'tokenizer_config.json',
  /** Beside the model: transformers knows no value head on a language model, and leaves the file alone. */
  valueHead: 'value_head.safetensors',
} as const;

/**
 * The files of a Hugging Face folder that Python's transformers loads as it is: a policy as LlamaForCausalLM, a reward
 * model as LlamaForSequenceClassification with one label.
 */
export function pretrainedFiles({ config, weights, tokenizerJson }: Pretrained): Map<string, string | Uint8Array> {
  checkWeights(config, weights);
  const isReward = weights.has('score.weight');
  const isValue = (name: string): boolean => name.startsWith('value_head.');
  const select = (wanted: (name: string) => boolean): Weights => new Map([...weights].filter(([name]) => wanted(name)));
  const files = new Map<string, string | Uint8Array>([
    [names.config, json(configFile(config, isReward ? 'LlamaForSequenceClassification' : 'LlamaForCausalLM'))],
    [names.weights, encodeSafetensors(select((name) => !isValue(name)))],
    [names.tokenizer, tokenizerJson],
    [
      names.tokenizerConfig,
      json({
        tokenizer_class: 'PreTrainedTokenizerFast',
        eos_token: '<|endoftext|>',
        pad_token: '<|endoftext|>',
        clean_up_tokenization_spaces: false,
        model_max_length: config.maxPositions,
      }),
    ],
  ]);
  if (!isReward) {
    files.set(
      names.generation,
      json({ eos_token_id: config.eosTokenId, pad_token_id: config.eosTokenId, do_sample: true }),
    );
  }
  if (weights.has('value_head.weight')) files.set(names.valueHead, encodeSafetensors(select(isValue)));
  return files;
}

/**
 * Reads what `pretrainedFiles` wrote.
 *
 * @param place where the files lie, for messages
 * @throws InputError naming the file and what is wrong with it
 */
export function readPretrained(files: ReadonlyMap<string, Buffer>, place: string): Pretrained {
  const read = (name: string): Buffer => {
    const bytes = files.get(name);
    if (!bytes) throw new InputError(`${place}: has no ${name}. Restore the folder from its source.`);
    return bytes;
  };
  const config = parseConfig(read(names.config).toString(), `${place}/${names.config}`);
  const weights = decodeSafetensors(read(names.weights), `${place}/${names.weights}`);
  const valueHead = files.get(names.valueHead);
  if (valueHead) {
    for (const [name, weight] of decodeSafetensors(valueHead, `${place}/${names.valueHead}`)) weights.set(name, weight);
  }
  checkWeights(config, weights);
  return { config, weights, tokenizerJson: read(names.tokenizer).toString() };
}

function configFile(config: LanguageModelConfig, architecture: Architecture): Record<string, unknown> {
  return {
    architectures: [architecture],
    model_type: 'llama',
    vocab_size: config.vocabSize,
    hidden_size: config.hiddenSize,
    intermediate_size: config.intermediateSize,
    num_hidden_layers: config.layers,
    num_attention_heads: config.heads,
    num_key_value_heads: config.keyValueHeads,
    head_dim: headSize(config),
    max_position_embeddings: config.maxPositions,
    rope_theta: config.ropeTheta,
    rms_norm_eps: config.rmsNormEpsilon,
    tie_word_embeddings: config.tieWordEmbeddings,
    bos_token_id: config.eosTokenId,
    eos_token_id: config.eosTokenId,
    pad_token_id: config.eosTokenId,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    torch_dtype: 'float32',
    ...(architecture === 'LlamaForSequenceClassification'
      ? { num_labels: 1, id2label: { 0: 'reward' }, label2id: { reward: 0 } }
      : {}),
  };
}

function parseConfig(text: string, fileName: string): LanguageModelConfig {
  let file: Record<string, unknown>;
  try {
    file = JSON.parse(text) as Record<string, unknown>;
  } catch {
    throw new InputError(`${fileName}: is not JSON. Restore the folder from its source.`);
  }
  const number = (key: string): number => {
    const value = file[key];
    if (typeof value !== 'number')
      throw new InputError(`${fileName}: ${key} is ${JSON.stringify(value)}, not a number.`);
    return value;
  };
  if (
    file.model_type !== 'llama' ||
    file.hidden_act !== 'silu' ||
    file.attention_bias === true ||
    file.mlp_bias === true
  ) {
    throw new InputError(`${fileName}: is not a model of the Llama family without biases, the only one that is read.`);
  }
  return {
    vocabSize: number('vocab_size'),
    hiddenSize: number('hidden_size'),
    intermediateSize: number('intermediate_size'),
    layers: number('num_hidden_layers'),
    heads: number('num_attention_heads'),
    keyValueHeads: number('num_key_value_heads'),
    maxPositions: number('max_position_embeddings'),
    ropeTheta: number('rope_theta'),
    rmsNormEpsilon: number('rms_norm_eps'),
    tieWordEmbeddings: file.tie_word_embeddings === true,
    eosTokenId: number('eos_token_id'),
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
