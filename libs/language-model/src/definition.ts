import { InputError, seededRandom } from '@infalign/core';

/** A decoder-only transformer of the Llama family: RMSNorm, rotary positions, SwiGLU, grouped-query attention. */
export interface LanguageModelConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  readonly intermediateSize: number;
  readonly layers: number;
  /** Query heads; divides hiddenSize into heads of even width. */
  readonly heads: number;
  /** Key and value heads; divides heads. */
  readonly keyValueHeads: number;
  /** Longest sequence of tokens. */
  readonly maxPositions: number;
  readonly ropeTheta: number;
  readonly rmsNormEpsilon: number;
  /** Whether the output projection is the token embedding. */
  readonly tieWordEmbeddings: boolean;
  /** The token that ends a text. */
  readonly eosTokenId: number;
  /** Low-rank adapters beside linear layers: only they and the heads are trained. None by default. */
  readonly adapters?: AdapterSettings;
}

/** The linear layers that can have adapters, by their Hugging Face names. */
export const linearLayers = [
  'q_proj',
  'k_proj',
  'v_proj',
  'o_proj',
  'gate_proj',
  'up_proj',
  'down_proj',
  'lm_head',
] as const;

/** A linear layer of every layer of the transformer, or its output projection, `lm_head`, the token embedding or not. */
export type LinearLayer = (typeof linearLayers)[number];

/**
 * LoRA (Hu et al., arXiv 2106.09685): a linear layer with an adapter computes `x·Wᵀ + (α/r)·(x·Aᵀ)·Bᵀ`, where W stays as it is, and
 * A `[r, input]` and B `[output, r]` are trained.
 */
export interface AdapterSettings {
  /** r, at least 1. */
  readonly rank: number;
  /** α > 0. */
  readonly alpha: number;
  /** The linear layers that have an adapter; at least one. */
  readonly targets: readonly LinearLayer[];
}

/** A weight's elements, row-major. */
export interface Weight {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Weights by their Hugging Face names. */
export type Weights = ReadonlyMap<string, Weight>;

/** A model as data. */
export interface ModelData {
  readonly config: LanguageModelConfig;
  readonly weights: Weights;
}

/** What a model has on top of its transformer. */
export type Head = 'language-model' | 'value' | 'reward';

/** A weight of the model: its Hugging Face name, its shape, and how it begins. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Standard deviation of its normal initialisation, bound of its uniform one, or the constant it begins with. */
  readonly initial: { readonly standardDeviation: number } | { readonly bound: number } | { readonly constant: number };
}

/**
 * Every weight of a model. Linear weights are [output, input].
 *
 * @param heads a policy has `language-model`, while it learns also `value`; a reward model has `reward`
 */
export function parameters(config: LanguageModelConfig, heads: readonly Head[]): Parameter[] {
  const { vocabSize, hiddenSize, intermediateSize, layers, adapters } = config;
  const keyValueSize = headSize(config) * config.keyValueHeads;
  const normal = { standardDeviation: 0.02 };
  // What adds to the residual stream begins smaller, so that its variance does not grow with depth (GPT-2).
  const residual = { standardDeviation: 0.02 / Math.sqrt(2 * layers) };
  const one = { constant: 1 };
  const zero = { constant: 0 };
  const list: Parameter[] = [{ name: 'model.embed_tokens.weight', shape: [vocabSize, hiddenSize], initial: normal }];
  const adapter = (module: string, [output, input]: readonly [number, number]): void => {
    if (!adapters || !hasAdapter(config, module)) return;
    list.push(
      // Kaiming's uniform initialisation with a slope of √5, as PEFT has it.
      { name: `${module}.lora_A.weight`, shape: [adapters.rank, input], initial: { bound: input ** -0.5 } },
      { name: `${module}.lora_B.weight`, shape: [output, adapters.rank], initial: zero },
    );
  };
  const linear = (module: string, shape: readonly [number, number], initial: Parameter['initial']): void => {
    list.push({ name: `${module}.weight`, shape, initial });
    adapter(module, shape);
  };
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    list.push({ name: `${prefix}.input_layernorm.weight`, shape: [hiddenSize], initial: one });
    linear(`${prefix}.self_attn.q_proj`, [hiddenSize, hiddenSize], normal);
    linear(`${prefix}.self_attn.k_proj`, [keyValueSize, hiddenSize], normal);
    linear(`${prefix}.self_attn.v_proj`, [keyValueSize, hiddenSize], normal);
    linear(`${prefix}.self_attn.o_proj`, [hiddenSize, hiddenSize], residual);
    list.push({ name: `${prefix}.post_attention_layernorm.weight`, shape: [hiddenSize], initial: one });
    linear(`${prefix}.mlp.gate_proj`, [intermediateSize, hiddenSize], normal);
    linear(`${prefix}.mlp.up_proj`, [intermediateSize, hiddenSize], normal);
    linear(`${prefix}.mlp.down_proj`, [hiddenSize, intermediateSize], residual);
  }
  list.push({ name: 'model.norm.weight', shape: [hiddenSize], initial: one });
  if (heads.includes('language-model')) {
    if (config.tieWordEmbeddings) adapter('lm_head', [vocabSize, hiddenSize]);
    else linear('lm_head', [vocabSize, hiddenSize], normal);
  }
  // Heads begin at zero: a value of zero is right for normalised rewards, whose mean under the reference policy is zero.
  if (heads.includes('value')) {
    list.push(
      { name: 'value_head.weight', shape: [1, hiddenSize], initial: zero },
      { name: 'value_head.bias', shape: [1], initial: zero },
    );
  }
  if (heads.includes('reward')) list.push({ name: 'score.weight', shape: [1, hiddenSize], initial: zero });
  return list;
}

/** Width of one attention head. */
export function headSize(config: LanguageModelConfig): number {
  return config.hiddenSize / config.heads;
}

/** Whether a linear layer has an adapter. @param module its full name, such as `model.layers.0.mlp.up_proj` or `lm_head` */
export function hasAdapter({ adapters }: LanguageModelConfig, module: string): boolean {
  return adapters?.targets.some((target) => `.${module}`.endsWith(`.${target}`)) ?? false;
}

/** What the output of an adapter is multiplied by: α/r; 0 where there are none. */
export function adapterScale({ adapters }: LanguageModelConfig): number {
  return adapters ? adapters.alpha / adapters.rank : 0;
}

/** Whether a weight is trained: where there are adapters, only they and the heads are. */
export function isTrained({ adapters }: LanguageModelConfig, name: string): boolean {
  return adapters === undefined || /\.lora_[AB]\.weight$|^value_head\.|^score\./.test(name);
}

/**
 * Whether a model tells tokens apart, and not only states as a reward model or a critic does. Where its output projection is the
 * token embedding every model can, but for one without the adapter that the configuration has beside it.
 */
export function hasLanguageModelHead(config: LanguageModelConfig, has: (name: string) => boolean): boolean {
  if (has('lm_head.weight') || has('lm_head.lora_A.weight')) return true;
  const measures = has('score.weight') || has('value_head.weight');
  return config.tieWordEmbeddings && !(measures && hasAdapter(config, 'lm_head'));
}

/** Weights to begin training from. The same seed gives the same bytes. */
export function initialWeights(config: LanguageModelConfig, heads: readonly Head[], seed: number): Weights {
  return withHeads(config, new Map(), heads, seed);
}

/**
 * The weights of a model with other heads, or with adapters: what both have is taken over, new heads and adapters begin as
 * `initialWeights` has them. New adapters change nothing yet.
 */
export function withHeads(config: LanguageModelConfig, weights: Weights, heads: readonly Head[], seed = 0): Weights {
  return new Map(
    parameters(config, heads).map((parameter) => [
      parameter.name,
      weights.get(parameter.name) ?? initialWeight(parameter, seed),
    ]),
  );
}

function initialWeight({ name, shape, initial }: Parameter, seed: number): Weight {
  const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
  if ('constant' in initial) return { shape, data: data.fill(initial.constant) };
  const random = seededRandom('initial-weights', seed, name);
  const draw =
    'bound' in initial
      ? () => initial.bound * (2 * random.uniform() - 1)
      : () => initial.standardDeviation * random.normal();
  for (let index = 0; index < data.length; index++) data[index] = draw();
  return { shape, data };
}

/**
 * Checks that weights are those of a model, and that its adapters can be.
 *
 * @throws InputError naming the setting, or the weight that is missing, unknown or of another shape
 */
export function checkWeights(config: LanguageModelConfig, weights: Weights): void {
  if (config.adapters) checkAdapters(config.adapters);
  const heads: Head[] = [];
  if (weights.has('value_head.weight')) heads.push('value');
  if (weights.has('score.weight')) heads.push('reward');
  if (hasLanguageModelHead(config, (name) => weights.has(name))) heads.push('language-model');
  const expected = new Map(parameters(config, heads).map((parameter) => [parameter.name, parameter.shape]));
  checkShapes(expected, weights);
  for (const name of weights.keys()) {
    if (!expected.has(name))
      throw new InputError(`The weights have ${name}, which the model's configuration does not.`);
  }
}

/**
 * Checks that weights hold those of a model that are to be replaced. Others are left aside: a sampler loads the policy out of a learner's
 * checkpoint without its value head.
 *
 * @param expected shapes by name
 * @throws InputError naming the weight that is missing or of another shape
 */
export function checkShapes(expected: Iterable<readonly [string, readonly number[]]>, weights: Weights): void {
  for (const [name, shape] of expected) {
    const found = weights.get(name);
    if (!found) throw new InputError(`The weights lack ${name}: they do not belong to this model's configuration.`);
    if (found.shape.join() !== shape.join()) {
      throw new InputError(
        `The weight ${name} has shape [${found.shape.join(', ')}], but the model's configuration asks for [${shape.join(', ')}].`,
      );
    }
  }
}

function checkAdapters({ rank, alpha, targets }: AdapterSettings): void {
  if (!Number.isInteger(rank) || rank < 1) {
    throw new InputError(`The rank of adapters is ${rank}, but has to be a whole number from 1 up.`);
  }
  if (!Number.isFinite(alpha) || alpha <= 0) {
    throw new InputError(`The alpha of adapters is ${alpha}, but has to be above 0.`);
  }
  const unknown = targets.find((target) => !linearLayers.includes(target));
  if (targets.length === 0 || unknown !== undefined) {
    throw new InputError(
      `Adapters are for ${unknown ?? 'no layer'}, but have to be for one or more of ${linearLayers.join(', ')}.`,
    );
  }
}
