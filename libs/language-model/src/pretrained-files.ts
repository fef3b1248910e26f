import { InputError } from '@infalign/core';
import { decodeSafetensors, encodeSafetensors } from '@infalign/checkpoint';
import { checkWeights, headSize, type LanguageModelConfig, type Weights } from './definition.js';
import { endOfTextToken, padding, paddingToken } from './tokenizer.js';

/** What Hugging Face's transformers loads a folder as. */
type Architecture = 'LlamaForCausalLM' | 'LlamaForSequenceClassification';

/** A model as its files hold it. */
export interface Pretrained {
  readonly config: LanguageModelConfig;
  readonly weights: Weights;
  /** The text of its tokenizer.json, of a tokenizer trained here. */
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
        eos_token: endOfTextToken,
        pad_token: paddingToken,
        clean_up_tokenization_spaces: false,
        model_max_length: config.maxPositions,
      }),
    ],
  ]);
  if (!isReward) {
    files.set(names.generation, json({ eos_token_id: config.eosTokenId, pad_token_id: padding, do_sample: true }));
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
  const { config, architecture } = parseConfig(read(names.config).toString(), `${place}/${names.config}`);
  const weights = decodeSafetensors(read(names.weights), `${place}/${names.weights}`);
  const valueHead = files.get(names.valueHead);
  if (valueHead) {
    for (const [name, weight] of decodeSafetensors(valueHead, `${place}/${names.valueHead}`)) weights.set(name, weight);
  }
  checkWeights(config, weights);
  const head = architecture === 'LlamaForSequenceClassification' ? 'score.weight' : 'lm_head.weight';
  if (!weights.has(head) && !(head === 'lm_head.weight' && config.tieWordEmbeddings)) {
    throw new InputError(`${place}/${names.weights}: lacks ${head}, which a ${architecture} has.`);
  }
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
    // Not end-of-text: a reward is read at the last token that is no padding, and end-of-text is part of a response.
    pad_token_id: padding,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    torch_dtype: 'float32',
    ...(architecture === 'LlamaForSequenceClassification'
      ? { num_labels: 1, id2label: { 0: 'reward' }, label2id: { reward: 0 } }
      : {}),
  };
}

function parseConfig(
  text: string,
  fileName: string,
): { readonly config: LanguageModelConfig; readonly architecture: Architecture } {
  let file: Record<string, unknown> | null;
  try {
    file = JSON.parse(text) as typeof file;
  } catch {
    throw new InputError(`${fileName}: is not JSON. Restore the folder from its source.`);
  }
  const field = (key: string): unknown => file?.[key];
  const refuse = (key: string, value: unknown, wanted: string): InputError =>
    new InputError(
      `${fileName}: ${key} is ${JSON.stringify(value)}, but ${wanted}. Only models that infalign stored are read.`,
    );
  const demand = (key: string, ...allowed: readonly (string | boolean | null | undefined)[]): unknown => {
    const value = field(key);
    if (!allowed.some((one) => one === value)) {
      throw refuse(key, value, `has to be ${allowed.map(String).join(' or ')}`);
    }
    return value;
  };
  const number = (key: string): number => {
    const value = field(key);
    if (typeof value !== 'number' || !(value > 0)) throw refuse(key, value, 'has to be a number above 0');
    return value;
  };
  const count = (key: string): number => {
    const value = number(key);
    if (!Number.isSafeInteger(value)) throw refuse(key, value, 'has to be a whole number');
    return value;
  };

  demand('model_type', 'llama');
  const [architecture] = [field('architectures')].flat();
  if (architecture !== 'LlamaForCausalLM' && architecture !== 'LlamaForSequenceClassification') {
    throw refuse('architectures', architecture, 'has to be LlamaForCausalLM or LlamaForSequenceClassification');
  }
  demand('hidden_act', 'silu');
  demand('attention_bias', false, undefined);
  demand('mlp_bias', false, undefined);
  demand('rope_scaling', null, undefined);
  const heads = count('num_attention_heads');
  const keyValueHeads = count('num_key_value_heads');
  const hiddenSize = count('hidden_size');
  if (hiddenSize % (2 * heads) !== 0) throw refuse('hidden_size', hiddenSize, `has to be a multiple of 2·${heads}`);
  if (heads % keyValueHeads !== 0) throw refuse('num_key_value_heads', keyValueHeads, `has to divide ${heads}`);
  const eosTokenId = field('eos_token_id');
  const vocabSize = count('vocab_size');
  if (!Number.isSafeInteger(eosTokenId) || Number(eosTokenId) < 0 || Number(eosTokenId) >= vocabSize) {
    throw refuse('eos_token_id', eosTokenId, `has to be a token, of ${vocabSize}`);
  }
  return {
    architecture,
    config: {
      vocabSize,
      hiddenSize,
      intermediateSize: count('intermediate_size'),
      layers: count('num_hidden_layers'),
      heads,
      keyValueHeads,
      maxPositions: count('max_position_embeddings'),
      ropeTheta: number('rope_theta'),
      rmsNormEpsilon: number('rms_norm_eps'),
      tieWordEmbeddings: demand('tie_word_embeddings', true, false) === true,
      eosTokenId: Number(eosTokenId),
    },
  };
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
