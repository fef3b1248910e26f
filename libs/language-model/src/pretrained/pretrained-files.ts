import { InputError } from '@infalign/core';
import { decodeSafetensors, encodeSafetensors, type ByteSource } from '@infalign/checkpoint';
import { merged } from '../adapters/merged.js';
import { checkWeights, type LanguageModelConfig, type ModelData, type Weights } from '../definition.js';
import { parseTokenizer, tokenName } from '../tokenizer-json.js';
import { endOfTextToken, padding, paddingToken } from '../tokenizer.js';
import { configFile, parseConfig } from './config-file.js';

/** A model as its files hold it. */
export interface Pretrained extends ModelData {
  /** The text of its tokenizer.json. */
  readonly tokenizerJson: string;
  /**
   * The text of its tokenizer_config.json: which tokens end a text and fill up batches, and the chat template. Without it
   * the tokenizer is one trained here.
   */
  readonly tokenizerConfigJson?: string;
}

const names = {
  config: 'config.json',
  generation: 'generation_config.json',
  weights: 'model.safetensors',
  /** Which shard holds a weight, where they are several. */
  weightsIndex: 'model.safetensors.index.json',
  tokenizer: 'tokenizer.json',
  tokenizerConfig: 'tokenizer_config.json',
  /** Where newer versions of transformers keep the chat template. */
  chatTemplate: 'chat_template.jinja',
  /** Beside the model: transformers knows no value head on a language model, and leaves the file alone. */
  valueHead: 'value_head.safetensors',
} as const;

/**
 * The files of a Hugging Face folder that Python's transformers loads as it is: a policy as LlamaForCausalLM, a reward
 * model as LlamaForSequenceClassification with one label. Adapters are written as part of the weights.
 */
export function pretrainedFiles(model: Pretrained): Map<string, string | Uint8Array> {
  checkWeights(model.config, model.weights);
  const { config, weights, tokenizerJson } = merged(model);
  const isReward = weights.has('score.weight');
  const isValue = (name: string): boolean => name.startsWith('value_head.');
  const select = (wanted: (name: string) => boolean): Weights => new Map([...weights].filter(([name]) => wanted(name)));
  const tokens = tokenRoles(model, isReward);
  const files = new Map<string, string | Uint8Array>([
    [names.config, json(configFile(config, isReward ? 'LlamaForSequenceClassification' : 'LlamaForCausalLM', tokens))],
    [names.weights, encodeSafetensors(select((name) => !isValue(name)))],
    [names.tokenizer, tokenizerJson],
    [names.tokenizerConfig, tokens.tokenizerConfigJson],
  ]);
  if (!isReward) {
    files.set(
      names.generation,
      json({ eos_token_id: config.eosTokenId, pad_token_id: tokens.padding, do_sample: true }),
    );
  }
  if (weights.has('value_head.weight')) files.set(names.valueHead, encodeSafetensors(select(isValue)));
  return files;
}

/**
 * Reads the files of a Hugging Face folder: what `pretrainedFiles` wrote, or a model of the Llama family with a byte-level
 * BPE tokenizer, its weights in one file or in shards of 32-bit, 16-bit or bfloat16 floats. A weight that belongs to no part
 * of such a model is refused, except stored rotary frequencies, and an output projection where it is the embedding.
 *
 * @param place where the files lie, for messages
 * @throws InputError naming the file and what is wrong with it
 */
export function readPretrained(files: ReadonlyMap<string, Buffer | ByteSource>, place: string): Pretrained {
  const text = (name: string): string | undefined => {
    const file = files.get(name);
    return file && (Buffer.isBuffer(file) ? file : file.read(0, file.size)).toString();
  };
  const demand = (name: string): string => {
    const found = text(name);
    if (found === undefined) throw new InputError(`${place}: has no ${name}. Restore the folder from its source.`);
    return found;
  };
  const configJson = demand(names.config);
  const tokenizerJson = demand(names.tokenizer);
  const tokenizerConfigJson = withChatTemplate(
    text(names.tokenizerConfig),
    text(names.chatTemplate),
    `${place}/${names.tokenizerConfig}`,
  );
  const { config, architecture } = parseConfig(
    configJson,
    `${place}/${names.config}`,
    () => parseTokenizer(tokenizerJson, `${place}/${names.tokenizer}`, tokenizerConfigJson).endOfText,
  );
  const weights = readWeights(files, demand, config, place);
  const head = architecture === 'LlamaForSequenceClassification' ? 'score.weight' : 'lm_head.weight';
  if (!weights.has(head) && !(head === 'lm_head.weight' && config.tieWordEmbeddings)) {
    throw new InputError(`${place}/${names.weights}: lacks ${head}, which a ${architecture} has.`);
  }
  const trainedHere = tokenizerConfigJson === undefined || tokenizerConfigJson === trainedTokenizerConfig(config);
  if (!trainedHere) {
    const { vocabSize } = parseTokenizer(tokenizerJson, `${place}/${names.tokenizer}`, tokenizerConfigJson);
    if (vocabSize > config.vocabSize) {
      throw new InputError(
        `${place}/${names.tokenizer}: has ${vocabSize} tokens, more than the vocab_size of ${names.config}, ${config.vocabSize}. ` +
          'Restore the folder from its source.',
      );
    }
  }
  return { config, weights, tokenizerJson, ...(trainedHere ? {} : { tokenizerConfigJson }) };
}

/**
 * Checks that weights are those of a model that a file holds.
 *
 * @throws InputError naming the file, and the weight that is missing, unknown or of another shape
 */
export function checkWeightsOf(config: LanguageModelConfig, weights: Weights, fileName: string): void {
  // Before every weight of every layer is listed: a damaged file may say any number.
  if (config.layers > weights.size) {
    throw new InputError(
      `${fileName}: has ${weights.size} weights, too few for the ${config.layers} layers of its model.`,
    );
  }
  try {
    checkWeights(config, weights);
  } catch (error) {
    throw error instanceof InputError ? new InputError(`${fileName}: ${error.message}`) : error;
  }
}

function readWeights(
  files: ReadonlyMap<string, Buffer | ByteSource>,
  demand: (name: string) => string,
  config: LanguageModelConfig,
  place: string,
): Weights {
  const isSharded = !files.has(names.weights) && files.has(names.weightsIndex);
  const shards = isSharded ? shardsOf(demand(names.weightsIndex), `${place}/${names.weightsIndex}`) : undefined;
  const weights = new Map<string, { readonly shape: readonly number[]; readonly data: Float32Array }>();
  for (const fileName of [...(shards?.keys() ?? [names.weights]), names.valueHead]) {
    const file = files.get(fileName);
    if (!file) {
      if (fileName === names.valueHead) continue;
      throw new InputError(`${place}: has no ${fileName}. Restore the folder from its source.`);
    }
    const found = decodeSafetensors(file, `${place}/${fileName}`);
    for (const name of shards?.get(fileName) ?? []) {
      if (!found.has(name)) {
        throw new InputError(
          `${place}/${fileName}: lacks ${name}, which ${names.weightsIndex} says it has. Restore the folder from its source.`,
        );
      }
    }
    for (const [name, weight] of found) {
      if (name.endsWith('.rotary_emb.inv_freq') || (config.tieWordEmbeddings && name === 'lm_head.weight')) continue;
      weights.set(name, weight);
    }
  }
  checkWeightsOf(config, weights, `${place}/${isSharded ? names.weightsIndex : names.weights}`);
  return weights;
}

/** The names of weights by the file that holds them. */
function shardsOf(index: string, fileName: string): Map<string, string[]> {
  const refuse = (problem: string): InputError =>
    new InputError(`${fileName}: ${problem}. Restore the folder from its source.`);
  let map: unknown;
  try {
    map = (JSON.parse(index) as { readonly weight_map?: unknown } | null)?.weight_map;
  } catch {
    throw refuse('is not JSON');
  }
  if (typeof map !== 'object' || map === null) throw refuse('has no weight_map');
  const shards = new Map<string, string[]>();
  for (const [weight, shard] of Object.entries(map as Record<string, unknown>)) {
    if (typeof shard !== 'string') throw refuse(`names no file for ${weight}`);
    const weights = shards.get(shard);
    if (weights) weights.push(weight);
    else shards.set(shard, [weight]);
  }
  return shards;
}

/** tokenizer_config.json with the chat template in it, also where the folder has it in a file of its own. */
function withChatTemplate(
  configJson: string | undefined,
  template: string | undefined,
  fileName: string,
): string | undefined {
  if (configJson === undefined || template === undefined) return configJson;
  try {
    return json({ ...(JSON.parse(configJson) as object), chat_template: template });
  } catch {
    throw new InputError(`${fileName}: is not JSON. Restore the folder from its source.`);
  }
}

/** The numbers that the files give to tokens with a role, and the tokenizer_config.json that names them. */
function tokenRoles(
  { config, tokenizerJson, tokenizerConfigJson }: Pretrained,
  isReward: boolean,
): { readonly startOfText: number; readonly padding: number; readonly tokenizerConfigJson: string } {
  if (tokenizerConfigJson === undefined) {
    return { startOfText: config.eosTokenId, padding, tokenizerConfigJson: trainedTokenizerConfig(config) };
  }
  const tokenizer = parseTokenizer(tokenizerJson, names.tokenizer, tokenizerConfigJson);
  const roles = JSON.parse(tokenizerConfigJson) as Record<string, unknown>;
  const startOfText = tokenizer.specialTokens.get(tokenName(roles.bos_token) ?? '') ?? config.eosTokenId;
  // transformers reads a reward at the last token that is no padding, and end-of-text is part of a response: where the two
  // are one token, as in SmolLM2, a reward model is padded with another.
  const other = [...tokenizer.specialTokens].find(([, token]) => token !== config.eosTokenId);
  if (isReward && tokenizer.padding === config.eosTokenId && other) {
    const [name, token] = other;
    return { startOfText, padding: token, tokenizerConfigJson: json({ ...roles, pad_token: name }) };
  }
  return { startOfText, padding: tokenizer.padding, tokenizerConfigJson };
}

/** The tokenizer_config.json of a tokenizer trained here. */
function trainedTokenizerConfig(config: LanguageModelConfig): string {
  return json({
    tokenizer_class: 'PreTrainedTokenizerFast',
    eos_token: endOfTextToken,
    pad_token: paddingToken,
    clean_up_tokenization_spaces: false,
    model_max_length: config.maxPositions,
  });
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
