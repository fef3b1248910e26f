import { InputError } from '@infalign/core';
import { headSize, type LanguageModelConfig } from '../definition.js';

/** What Hugging Face's transformers loads a folder as. */
export type Architecture = 'LlamaForCausalLM' | 'LlamaForSequenceClassification';

/** The fields of `config.json`. */
export function configFile(
  config: LanguageModelConfig,
  architecture: Architecture,
  tokens: { readonly startOfText: number; readonly padding: number },
): Record<string, unknown> {
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
    bos_token_id: tokens.startOfText,
    eos_token_id: config.eosTokenId,
    pad_token_id: tokens.padding,
    hidden_act: 'silu',
    attention_bias: false,
    mlp_bias: false,
    torch_dtype: 'float32',
    ...(architecture === 'LlamaForSequenceClassification'
      ? { num_labels: 1, id2label: { 0: 'reward' }, label2id: { reward: 0 } }
      : {}),
  };
}

/**
 * Reads `config.json` of a Llama model. Fields that may be absent are what transformers takes them for.
 *
 * @param endOfText which of several end-of-text tokens the tokenizer ends a text with; where it is none of them, the first
 *   is taken
 * @throws InputError naming the file and the field, also for what this library's models do not have
 */
export function parseConfig(
  text: string,
  fileName: string,
  endOfText: () => number | undefined,
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
      `${fileName}: ${key} is ${JSON.stringify(value)}, but ${wanted}. Only models like Llama and SmolLM2 are read, with ` +
        'plain rotary positions and no biases.',
    );
  const demand = (key: string, ...allowed: readonly (string | boolean | null | undefined)[]): unknown => {
    const value = field(key);
    if (!allowed.some((one) => one === value)) {
      throw refuse(key, value, `has to be ${allowed.map(String).join(' or ')}`);
    }
    return value;
  };
  const number = (key: string, value = field(key)): number => {
    if (typeof value !== 'number' || !(value > 0)) throw refuse(key, value, 'has to be a number above 0');
    return value;
  };
  const count = (key: string, value = field(key)): number => {
    if (!Number.isSafeInteger(number(key, value))) throw refuse(key, value, 'has to be a whole number');
    return Number(value);
  };

  demand('model_type', 'llama');
  const [architecture] = [field('architectures')].flat();
  if (architecture !== 'LlamaForCausalLM' && architecture !== 'LlamaForSequenceClassification') {
    throw refuse('architectures', architecture, 'has to be LlamaForCausalLM or LlamaForSequenceClassification');
  }
  demand('hidden_act', 'silu', undefined);
  demand('attention_bias', false, undefined);
  demand('mlp_bias', false, undefined);
  demand('rope_interleaved', false, undefined);
  // transformers 5 writes rope_parameters, which holds what rope_theta and rope_scaling held before.
  for (const key of ['rope_scaling', 'rope_parameters']) {
    const { rope_type: kind, type } = (field(key) ?? {}) as Record<string, unknown>;
    if ((kind ?? type ?? 'default') !== 'default') {
      throw refuse(key, field(key), 'has to be null or of the default type');
    }
  }
  const { rope_theta: newTheta } = (field('rope_parameters') ?? {}) as Record<string, unknown>;
  const heads = count('num_attention_heads');
  const keyValueHeads = count('num_key_value_heads', field('num_key_value_heads') ?? heads);
  const hiddenSize = count('hidden_size');
  if (hiddenSize % (2 * heads) !== 0) throw refuse('hidden_size', hiddenSize, `has to be a multiple of 2·${heads}`);
  if (heads % keyValueHeads !== 0) throw refuse('num_key_value_heads', keyValueHeads, `has to divide ${heads}`);
  const headWidth = field('head_dim') ?? hiddenSize / heads;
  if (headWidth !== hiddenSize / heads) throw refuse('head_dim', headWidth, `has to be ${hiddenSize / heads}`);
  const vocabSize = count('vocab_size');
  const ends = [field('eos_token_id')].flat();
  for (const end of ends) {
    if (!Number.isSafeInteger(end) || Number(end) < 0 || Number(end) >= vocabSize) {
      throw refuse('eos_token_id', field('eos_token_id'), `has to be a token, of ${vocabSize}`);
    }
  }
  if (ends.length === 0) throw refuse('eos_token_id', [], 'has to be a token');
  const preferred = ends.length > 1 ? endOfText() : undefined;
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
      ropeTheta: number('rope_theta', field('rope_theta') === undefined ? (newTheta ?? 10_000) : field('rope_theta')),
      rmsNormEpsilon: number('rms_norm_eps', field('rms_norm_eps') ?? 1e-6),
      tieWordEmbeddings: demand('tie_word_embeddings', true, false, undefined) === true,
      eosTokenId: Number(ends.includes(preferred) ? preferred : ends[0]),
    },
  };
}
