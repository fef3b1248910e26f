import { InputError } from '@infalign/core';
import { decodeSafetensors, encodeSafetensors, type ByteSource } from '@infalign/checkpoint';
import {
  isTrained,
  linearLayers,
  parameters,
  type AdapterSettings,
  type ModelData,
  type Weight,
} from '../definition.js';
import { checkWeightsOf } from '../pretrained/pretrained-files.js';

const names = {
  config: 'adapter_config.json',
  weights: 'adapter_model.safetensors',
  /** Beside the adapters: PEFT knows no value head on a language model, and leaves the file alone. */
  valueHead: 'value_head.safetensors',
} as const;

/** What PEFT puts before the names of a model's weights. */
const prefix = 'base_model.model.';

/** What PEFT keeps beside adapters of a sequence classification model: its head, by the names that heads have there. */
const classificationHeads = ['classifier', 'score'];

/** Fields of adapter_config.json that change what a model computes, and that this library's adapters do not have. */
const unsupported = [
  'alora_invocation_tokens',
  'alpha_pattern',
  'arrow_config',
  'fan_in_fan_out',
  'kasa_config',
  'layer_replication',
  'lora_bias',
  'monteclora_config',
  'rank_pattern',
  'target_parameters',
  'trainable_token_indices',
  'use_bdlora',
  'use_dora',
  'use_qalora',
] as const;

/**
 * The adapters of a model, and its heads, as files that Python's PEFT loads beside the model that they were made for.
 *
 * @param weights of the model; those that are not trained may be absent, and are not written
 * @throws InputError if the model has no adapters, or a weight of them is missing or of another shape
 */
export function adapterFiles({ config, weights }: ModelData): Map<string, string | Uint8Array> {
  const { adapters } = config;
  if (!adapters) throw new InputError('The model has no adapters: store it with pretrainedFiles.');
  const isReward = weights.has('score.weight');
  const stored = new Map<string, Weight>();
  for (const { name, shape } of parameters(config, [isReward ? 'reward' : 'language-model'])) {
    if (!isTrained(config, name)) continue;
    const weight = weights.get(name);
    if (weight?.shape.join() !== shape.join()) {
      throw new InputError(
        `The weights lack ${name} of shape [${shape.join(', ')}]: they are not those of the adapters.`,
      );
    }
    stored.set(prefix + name, weight);
  }
  const settings = {
    peft_type: 'LORA',
    task_type: isReward ? 'SEQ_CLS' : 'CAUSAL_LM',
    base_model_name_or_path: null,
    r: adapters.rank,
    lora_alpha: adapters.alpha,
    lora_dropout: 0,
    target_modules: linearLayers.filter((layer) => adapters.targets.includes(layer)),
    modules_to_save: isReward ? classificationHeads : null,
    bias: 'none',
    inference_mode: true,
  };
  const files = new Map<string, string | Uint8Array>([
    [names.config, `${JSON.stringify(settings, null, 2)}\n`],
    [names.weights, encodeSafetensors(stored)],
  ]);
  const valueHead = new Map([...weights].filter(([name]) => name.startsWith('value_head.')));
  if (valueHead.size > 0) files.set(names.valueHead, encodeSafetensors(valueHead));
  return files;
}

/**
 * A model with adapters that PEFT, or `adapterFiles`, wrote for it: LoRA on linear layers of all layers, of one rank.
 *
 * @param place where the files lie, for messages
 * @param model that the adapters were made for, without adapters of its own
 * @throws InputError naming the file and what is wrong with it, also for what this library's adapters do not have
 */
export function readAdapters<Model extends ModelData>(
  files: ReadonlyMap<string, Buffer | ByteSource>,
  place: string,
  model: Model,
): Model {
  const demand = (name: string): Buffer | ByteSource => {
    const file = files.get(name);
    if (!file) throw new InputError(`${place}: has no ${name}. Restore the folder from its source.`);
    return file;
  };
  const configFile = demand(names.config);
  const text = (Buffer.isBuffer(configFile) ? configFile : configFile.read(0, configFile.size)).toString();
  const fileName = `${place}/${names.weights}`;
  const weights = new Map(model.weights);
  const adapted = new Set<string>();
  for (const [stored, weight] of decodeSafetensors(demand(names.weights), fileName)) {
    const name = stored.startsWith(prefix) ? stored.slice(prefix.length) : undefined;
    const layer = name && /(?:^|\.)(\w+)\.lora_[AB]\.weight$/.exec(name)?.[1];
    if (layer !== undefined) adapted.add(layer);
    else if (name !== 'score.weight') {
      throw new InputError(`${fileName}: has ${stored}; only LoRA of linear layers and a reward head are supported.`);
    }
    weights.set(name!, weight);
  }
  const valueHead = files.get(names.valueHead);
  if (valueHead) {
    for (const [name, weight] of decodeSafetensors(valueHead, `${place}/${names.valueHead}`)) weights.set(name, weight);
  }
  const targets = linearLayers.filter((layer) => adapted.has(layer));
  const config = { ...model.config, adapters: { ...parseSettings(text, `${place}/${names.config}`), targets } };
  checkWeightsOf(config, weights, fileName);
  return { ...model, config, weights };
}

function parseSettings(text: string, fileName: string): Pick<AdapterSettings, 'rank' | 'alpha'> {
  let settings: Record<string, unknown>;
  try {
    settings = (JSON.parse(text) ?? {}) as typeof settings;
  } catch {
    throw new InputError(`${fileName}: is not JSON. Restore the folder from its source.`);
  }
  const refuse = (field: string, wanted: string): InputError =>
    new InputError(`${fileName}: ${field} is ${JSON.stringify(settings[field])}, but ${wanted}.`);
  if (settings.peft_type !== 'LORA') throw refuse('peft_type', 'only LORA is supported');
  if ((settings.bias ?? 'none') !== 'none') throw refuse('bias', 'only none is supported');
  for (const field of unsupported) {
    if (isSet(settings[field])) throw refuse(field, 'adapters with it are not supported');
  }
  // Others (PiSSA, OLoRA, …) have changed the model's own weights too.
  if (
    !['undefined', 'boolean'].includes(typeof settings.init_lora_weights) &&
    settings.init_lora_weights !== 'gaussian'
  ) {
    throw refuse('init_lora_weights', 'such adapters belong to changed weights; convert them to plain LoRA with PEFT');
  }
  const { r: rank, lora_alpha: alpha, use_rslora: isRankStabilised } = settings;
  if (!Number.isInteger(rank) || (rank as number) < 1) throw refuse('r', 'has to be a whole number from 1 up');
  if (typeof alpha !== 'number' || alpha <= 0) throw refuse('lora_alpha', 'has to be a number above 0');
  // Rank-stabilised LoRA (arXiv 2312.03732) multiplies with α/√r instead of α/r.
  return { rank: rank as number, alpha: isRankStabilised === true ? alpha * Math.sqrt(rank as number) : alpha };
}

/** Whether a field says anything: not null, false, or empty. */
function isSet(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value);
}
