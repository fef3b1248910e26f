import { InputError } from '@infalign/core';
import type { ByteSource } from '@infalign/checkpoint';
import { headSize, type LanguageModelConfig } from '../definition.js';
import { parseGguf, type GgufFile } from './gguf-file.js';
import { ggufTokenizer, type TokenizerFiles } from './gguf-tokenizer.js';
import { checkWeightsOf, type Pretrained } from './pretrained-files.js';

/** Names of weights: of Hugging Face by those of llama.cpp. */
const outerNames: ReadonlyMap<string, string> = new Map([
  ['token_embd', 'model.embed_tokens'],
  ['output_norm', 'model.norm'],
  ['output', 'lm_head'],
]);
const layerNames: ReadonlyMap<string, string> = new Map([
  ['attn_norm', 'input_layernorm'],
  ['attn_q', 'self_attn.q_proj'],
  ['attn_k', 'self_attn.k_proj'],
  ['attn_v', 'self_attn.v_proj'],
  ['attn_output', 'self_attn.o_proj'],
  ['ffn_norm', 'post_attention_layernorm'],
  ['ffn_gate', 'mlp.gate_proj'],
  ['ffn_up', 'mlp.up_proj'],
  ['ffn_down', 'mlp.down_proj'],
]);

/**
 * Reads a language model of the Llama family from a GGUF file, dequantised, as Hugging Face's files would hold it.
 *
 * @param fileName for messages
 * @throws InputError naming the file, and the metadata or the tensor that is missing, malformed or unknown
 */
export function readGguf(source: ByteSource, fileName: string): Pretrained {
  const file = parseGguf(source, fileName);
  const { config, tokenizer } = describeModel(file, fileName);
  const weights = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
  for (const [name, shape] of file.shapes) {
    const known = huggingFaceName(name);
    if (known === undefined) {
      throw new InputError(
        `${fileName}: has the tensor ${name}, which is no part of a Llama model as it is read here: plain rotary positions, ` +
          'no biases, no experts.',
      );
    }
    const data = file.tensor(name);
    if (known.endsWith('.q_proj.weight')) unpairRotaryRows(data, shape, config.heads);
    if (known.endsWith('.k_proj.weight')) unpairRotaryRows(data, shape, config.keyValueHeads);
    weights.set(known, { shape, data });
  }
  checkWeightsOf(config, weights, fileName);
  const { tokenizerJson, tokenizerConfigJson } = tokenizer;
  return { config, weights, tokenizerJson, tokenizerConfigJson };
}

function huggingFaceName(name: string): string | undefined {
  const [, layer, part] = /^(?:blk\.(\d+)\.)?(\w+)\.weight$/.exec(name) ?? [];
  if (part === undefined) return undefined;
  const known = (layer === undefined ? outerNames : layerNames).get(part);
  return known && `${layer === undefined ? '' : `model.layers.${layer}.`}${known}.weight`;
}

/**
 * Puts the rows of a query or key projection where Hugging Face has them. Rotary positions turn pairs of rows of a head:
 * Hugging Face pairs row i with row i + e/2, and llama.cpp, whose converter moves the rows, 2i with 2i + 1.
 */
function unpairRotaryRows(data: Float32Array, shape: readonly number[], heads: number): void {
  const [rows = 0, width = 0] = shape;
  const half = rows / heads / 2;
  // A shape that the configuration does not have: it is refused when all weights are there.
  if (!Number.isSafeInteger(half)) return;
  const paired = data.slice();
  for (let row = 0; row < rows; row++) {
    const within = row % (2 * half);
    const source = row - within + 2 * (within % half) + (within >= half ? 1 : 0);
    data.set(paired.subarray(source * width, (source + 1) * width), row * width);
  }
}

function describeModel(
  file: GgufFile,
  fileName: string,
): { readonly config: LanguageModelConfig; readonly tokenizer: TokenizerFiles } {
  const { metadata, shapes } = file;
  const refuse = (key: string, value: unknown, wanted: string): InputError =>
    new InputError(
      `${fileName}: ${key} is ${JSON.stringify(value)}, but has to be ${wanted} for the model to be read.`,
    );
  const number = (key: string, otherwise?: number): number => {
    const value = metadata.get(key) ?? otherwise;
    if (typeof value !== 'number' || !(value > 0)) throw refuse(key, value, 'a number above 0');
    return value;
  };
  const count = (key: string, otherwise?: number): number => {
    const value = number(key, otherwise);
    if (!Number.isSafeInteger(value)) throw refuse(key, value, 'a whole number');
    return value;
  };
  const demand = (key: string, otherwise: string | number, wanted: string | number): void => {
    const value = metadata.get(key) ?? otherwise;
    if (value !== wanted) throw refuse(key, value, JSON.stringify(wanted));
  };

  demand('general.architecture', '', 'llama');
  demand('llama.expert_count', 0, 0);
  demand('llama.rope.scaling.type', 'none', 'none');
  // Without a type llama.cpp scales positions linearly, and takes a factor of 0 for 1.
  if (!metadata.has('llama.rope.scaling.type') && metadata.get('llama.rope.scaling.factor') !== 0) {
    demand('llama.rope.scaling.factor', 1, 1);
  }
  demand('llama.rope.scale_linear', 1, 1);
  const hiddenSize = count('llama.embedding_length');
  const heads = count('llama.attention.head_count');
  const keyValueHeads = count('llama.attention.head_count_kv', heads);
  if (hiddenSize % (2 * heads) !== 0) throw refuse('llama.embedding_length', hiddenSize, `a multiple of 2·${heads}`);
  if (heads % keyValueHeads !== 0)
    throw refuse('llama.attention.head_count_kv', keyValueHeads, `a divisor of ${heads}`);
  const maxPositions = count('llama.context_length');
  const [vocabSize = 0] = shapes.get('token_embd.weight') ?? [];
  const tokenizer = ggufTokenizer(file, maxPositions, fileName);
  if (tokenizer.vocabSize > vocabSize) {
    throw refuse('token_embd.weight', shapes.get('token_embd.weight'), `rows for all ${tokenizer.vocabSize} tokens`);
  }
  const config: LanguageModelConfig = {
    vocabSize,
    hiddenSize,
    intermediateSize: count('llama.feed_forward_length'),
    layers: count('llama.block_count'),
    heads,
    keyValueHeads,
    maxPositions,
    ropeTheta: number('llama.rope.freq_base', 10_000),
    rmsNormEpsilon: number('llama.attention.layer_norm_rms_epsilon'),
    tieWordEmbeddings: !shapes.has('output.weight'),
    eosTokenId: tokenizer.endOfText,
  };
  for (const key of ['llama.rope.dimension_count', 'llama.attention.key_length', 'llama.attention.value_length']) {
    demand(key, headSize(config), headSize(config));
  }
  return { config, tokenizer };
}
