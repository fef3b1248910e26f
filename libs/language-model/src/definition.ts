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
}

/** Weights by their Hugging Face names; row-major. */
export type Weights = ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;

/** What a model has on top of its transformer. */
export type Head = 'language-model' | 'value' | 'reward';

/** A weight of the model: its Hugging Face name, its shape, and how it begins. */
export interface Parameter {
  readonly name: string;
  readonly shape: readonly number[];
  /** Standard deviation of its normal initialisation, or the constant it begins with. */
  readonly initial: { readonly standardDeviation: number } | { readonly constant: number };
}

/**
 * Every weight of a model. Linear weights are [output, input].
 *
 * @param heads a policy has `language-model`, while it learns also `value`; a reward model has `reward`
 */
export function parameters(config: LanguageModelConfig, heads: readonly Head[]): Parameter[] {
  const { vocabSize, hiddenSize, intermediateSize, layers } = config;
  const keyValueSize = headSize(config) * config.keyValueHeads;
  const normal = { standardDeviation: 0.02 };
  // What adds to the residual stream begins smaller, so that its variance does not grow with depth (GPT-2).
  const residual = { standardDeviation: 0.02 / Math.sqrt(2 * layers) };
  const one = { constant: 1 };
  const zero = { constant: 0 };
  const list: Parameter[] = [{ name: 'model.embed_tokens.weight', shape: [vocabSize, hiddenSize], initial: normal }];
  for (let layer = 0; layer < layers; layer++) {
    const prefix = `model.layers.${layer}`;
    list.push(
      { name: `${prefix}.input_layernorm.weight`, shape: [hiddenSize], initial: one },
      { name: `${prefix}.self_attn.q_proj.weight`, shape: [hiddenSize, hiddenSize], initial: normal },
      { name: `${prefix}.self_attn.k_proj.weight`, shape: [keyValueSize, hiddenSize], initial: normal },
      { name: `${prefix}.self_attn.v_proj.weight`, shape: [keyValueSize, hiddenSize], initial: normal },
      { name: `${prefix}.self_attn.o_proj.weight`, shape: [hiddenSize, hiddenSize], initial: residual },
      { name: `${prefix}.post_attention_layernorm.weight`, shape: [hiddenSize], initial: one },
      { name: `${prefix}.mlp.gate_proj.weight`, shape: [intermediateSize, hiddenSize], initial: normal },
      { name: `${prefix}.mlp.up_proj.weight`, shape: [intermediateSize, hiddenSize], initial: normal },
      { name: `${prefix}.mlp.down_proj.weight`, shape: [hiddenSize, intermediateSize], initial: residual },
    );
  }
  list.push({ name: 'model.norm.weight', shape: [hiddenSize], initial: one });
  if (heads.includes('language-model') && !config.tieWordEmbeddings) {
    list.push({ name: 'lm_head.weight', shape: [vocabSize, hiddenSize], initial: normal });
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

/** Weights to begin training from. The same seed gives the same bytes. */
export function initialWeights(config: LanguageModelConfig, heads: readonly Head[], seed: number): Weights {
  return new Map(
    parameters(config, heads).map(({ name, shape, initial }) => {
      const data = new Float32Array(shape.reduce((a, b) => a * b, 1));
      if ('constant' in initial) data.fill(initial.constant);
      else {
        const random = seededRandom('initial-weights', seed, name);
        for (let index = 0; index < data.length; index++) data[index] = initial.standardDeviation * random.normal();
      }
      return [name, { shape, data }];
    }),
  );
}

/**
 * The weights of a model with other heads: what both have is taken over, new heads begin as `initialWeights` has them.
 */
export function withHeads(config: LanguageModelConfig, weights: Weights, heads: readonly Head[]): Weights {
  const initial = initialWeights(config, heads, 0);
  return new Map([...initial].map(([name, weight]) => [name, weights.get(name) ?? weight]));
}

/**
 * Checks that weights are those of a model.
 *
 * @throws InputError naming the weight that is missing, unknown or of another shape
 */
export function checkWeights(config: LanguageModelConfig, weights: Weights): void {
  const heads: Head[] = [];
  if (weights.has('value_head.weight')) heads.push('value');
  if (weights.has('score.weight')) heads.push('reward');
  if (weights.has('lm_head.weight') || config.tieWordEmbeddings) heads.push('language-model');
  const expected = new Map(parameters(config, heads).map((parameter) => [parameter.name, parameter.shape]));
  for (const [name, shape] of expected) {
    const found = weights.get(name);
    if (!found) throw new InputError(`The weights lack ${name}: they do not belong to this model's configuration.`);
    if (found.shape.join() !== shape.join()) {
      throw new InputError(
        `The weight ${name} has shape [${found.shape.join(', ')}], but the model's configuration asks for [${shape.join(', ')}].`,
      );
    }
  }
  for (const name of weights.keys()) {
    if (!expected.has(name))
      throw new InputError(`The weights have ${name}, which the model's configuration does not.`);
  }
}
