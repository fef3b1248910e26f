import {
  add,
  complexProduct,
  concatenate,
  fill,
  gather,
  lessEqual,
  matMul,
  moveRows,
  multiply,
  product,
  range,
  recomputed,
  reshape,
  select,
  softmax,
  split,
  type Dimension,
  type Graph,
  type GraphTensor,
  type Projection,
} from '@infalign/tensor-graph';
import { adapterScale, hasAdapter, headSize, type LanguageModelConfig } from '../definition.js';
import { attention, rmsNorm, swiglu } from './operations.js';

/** Gives the input of a graph that is a weight, by the name of its stack. */
export type WeightInput = (name: string) => GraphTensor;

/** Declares the input `rotaryNumbers`, [2·maxPositions, e]: by position, what queries are multiplied by as complex numbers, then keys. */
export function rotaryInput(graph: Graph, config: LanguageModelConfig): GraphTensor {
  return graph.input('rotaryNumbers', 'float32', [2 * config.maxPositions, headSize(config)]);
}

/**
 * What all queries and keys of tokens are multiplied by, as complex numbers: it rotates them by their positions (Su et al., arXiv
 * 2104.09864), and scales queries by `e^(−½)`, so that their products with keys are scores.
 *
 * @param table what `rotaryInput` declares
 * @param positions shape [n], int32
 * @returns shape [n·(heads + keyValueHeads), e]
 */
export function rotationsAt(table: GraphTensor, config: LanguageModelConfig, positions: GraphTensor): GraphTensor {
  const { heads, keyValueHeads, maxPositions } = config;
  const rotated = heads + keyValueHeads;
  const [n] = positions.shape as readonly [Dimension];
  const starts = Int32Array.from({ length: rotated }, (_, head) => (head < heads ? 0 : maxPositions));
  const places = add(reshape(positions, [n, 1]), table.graph.constant(starts, [1, rotated]));
  return gather(table, reshape(places, [product(n, rotated)]));
}

/** Tokens that a layer computes, and how they attend. */
export interface Stream {
  /** The residual stream, shape [n, d]. */
  readonly x: GraphTensor;
  /** Of queries and keys, rows [n·(heads + keyValueHeads), e]. */
  readonly rotations: GraphTensor;
  /**
   * From rotated queries, scaled, and keys, rows [n·(heads + keyValueHeads), e], and values, rows [n·keyValueHeads, e], to the heads'
   * outputs, rows [n·heads, e].
   */
  readonly attend: (queriesAndKeys: GraphTensor, values: GraphTensor) => GraphTensor;
  /** Of features of all tokens, those of the tokens that are wanted after attention, for what follows it; all by default. */
  readonly kept?: (features: GraphTensor) => GraphTensor;
}

/** How features of streams are multiplied by a linear layer, [input, output], beside its adapter. */
export type Multiplied = (features: readonly GraphTensor[], weight: GraphTensor) => readonly GraphTensor[];

/** The products of each stream by themselves. */
export const eachByItself: Multiplied = (features, weight) => features.map((x) => matMul(x, weight));

/**
 * One layer of every stream: `x + attention(norm(x))`, then `+ mlp(norm(·))`.
 *
 * @returns the residual streams, of the tokens that are kept
 */
export function layer(
  config: LanguageModelConfig,
  weight: WeightInput,
  index: number,
  streams: readonly Stream[],
  multiplied = eachByItself,
): readonly GraphTensor[] {
  const { heads, keyValueHeads, hiddenSize, rmsNormEpsilon } = config;
  const width = headSize(config);
  const prefix = `model.layers.${index}`;
  const of = (name: string): GraphTensor => weight(`${prefix}.${name}.weight`);
  const adapted = (input: GraphTensor, name: string): GraphTensor => {
    const part = adapterProjection(config, weight, `${prefix}.${name}`, input);
    return matMul(part.x, part.weight);
  };
  const rows = (input: GraphTensor, count: number): GraphTensor =>
    reshape(input, [product(input.shape[0]!, count), width]);

  // Of every stream:
  type Features = readonly GraphTensor[];
  const sums = (a: Features, b: Features): Features => a.map((features, stream) => add(features, b[stream]!));
  const norms = (inputs: Features, name: string): Features => inputs.map((x) => rmsNorm(x, of(name), rmsNormEpsilon));
  const linear = (inputs: Features, name: string): Features => {
    const outputs = multiplied(inputs, of(name));
    if (!hasAdapter(config, name)) return outputs;
    return sums(
      outputs,
      inputs.map((input) => adapted(input, name)),
    );
  };
  const queriesAndKeys = (inputs: Features): Features => {
    const outputs = multiplied(inputs, of('self_attn.qk_proj'));
    const parts = Object.entries({ 'self_attn.q_proj': heads, 'self_attn.k_proj': keyValueHeads });
    if (!parts.some(([name]) => hasAdapter(config, name))) return outputs;
    const ofAdapters = (input: GraphTensor): GraphTensor[] =>
      parts.map(([name, count]) =>
        hasAdapter(config, name) ? adapted(input, name) : fill(input.graph, [input.shape[0]!, count * width], 0),
      );
    return sums(
      outputs,
      inputs.map((input) => concatenate(ofAdapters(input), 1)),
    );
  };

  const normalised = norms(
    streams.map(({ x }) => x),
    'input_layernorm',
  );
  const projected = queriesAndKeys(normalised);
  const values = linear(normalised, 'self_attn.v_proj');
  const attended = streams.map(({ x, rotations, attend, kept = all }, stream) => {
    const rotated = complexProduct(rows(projected[stream]!, heads + keyValueHeads), rotations);
    return kept(reshape(attend(rotated, rows(values[stream]!, keyValueHeads)), [x.shape[0]!, hiddenSize]));
  });
  const before = streams.map(({ x, kept = all }) => kept(x));
  const middle = sums(before, linear(attended, 'self_attn.o_proj'));
  const again = norms(middle, 'post_attention_layernorm');
  const [gates, ups] = [linear(again, 'mlp.gate_proj'), linear(again, 'mlp.up_proj')];
  const activated = gates.map((gate, stream) => swiglu(gate, ups[stream]!));
  return sums(middle, linear(activated, 'mlp.down_proj'));
}

function all(features: GraphTensor): GraphTensor {
  return features;
}

/**
 * What an adapter adds, a product of `x' = (α/r)·(x·Aᵀ)` with B.
 *
 * @returns x' and B as it is held: of the output projection [vocabulary, r], of other linear layers [r, output]
 */
function adapterProjection(
  config: LanguageModelConfig,
  weight: WeightInput,
  module: string,
  x: GraphTensor,
): Projection {
  const reduced = matMul(x, weight(`${module}.lora_A.weight`));
  return { x: multiply(reduced, adapterScale(config)), weight: weight(`${module}.lora_B.weight`) };
}

/** How the transformer over a batch is computed. */
export interface TransformerOptions {
  /** Whether the sequences of batches stand whole. */
  readonly whole: boolean;
  /** Whether layers are computed again for their gradients. */
  readonly recompute: boolean;
}

/**
 * The transformer over a `SharedBatch`, whose arrays are inputs of the graph by their names.
 *
 * @returns the residual stream after the last layer, before the final norm, shape [tokens, d]
 */
export function sharedTransformer(
  graph: Graph,
  config: LanguageModelConfig,
  weight: WeightInput,
  { whole, recompute }: TransformerOptions,
): GraphTensor {
  const { heads, keyValueHeads } = config;
  const integers = (name: string, size: Dimension): GraphTensor => graph.input(name, 'int32', [size]);
  for (const size of ['groups', 'promptTime']) graph.sizeInput(size);
  const tokens = integers('tokens', 'tokens');
  const positions = integers('positions', 'tokens');
  const queryKeySource = integers('queryKeySource', 'queryKeyPlaces');
  const queryKeyTarget = integers('queryKeyTarget', product('tokens', heads + keyValueHeads));
  const valueSource = integers('valueSource', whole ? product('groups', keyValueHeads, 'promptTime') : 'valuePlaces');
  const valueTarget = integers('valueTarget', product('tokens', keyValueHeads));
  const outputSource = integers('outputSource', product('tokens', heads));
  const inGrids = whole ? wholeAttention(config) : sharedAttention(graph, config);
  const attend = (queriesAndKeys: GraphTensor, values: GraphTensor): GraphTensor => {
    const placed = moveRows(queriesAndKeys, queryKeySource, queryKeyTarget);
    return gather(inGrids(placed, moveRows(values, valueSource, valueTarget)), outputSource);
  };
  const rotations = rotationsAt(rotaryInput(graph, config), config, positions);
  let x = gather(weight('model.embed_tokens.weight'), tokens);
  for (let index = 0; index < config.layers; index++) {
    const compute = (input: GraphTensor): GraphTensor =>
      layer(config, weight, index, [{ x: input, rotations, attend }])[0]!;
    x = recompute ? recomputed(x, compute) : compute(x);
  }
  return x;
}

/** Attention in grids: of the places of queries and keys, and of values, to those of outputs, rows of e each. */
type GridAttention = (queriesAndKeys: GraphTensor, values: GraphTensor) => GraphTensor;

/** Where sequences stand whole, there is the grid of prompts alone. */
function wholeAttention(config: LanguageModelConfig): GridAttention {
  const { heads, keyValueHeads } = config;
  const [queries, keys] = [heads, keyValueHeads].map((count) => product('groups', count, 'promptTime'));
  return (queriesAndKeys, values) => {
    const [query, key] = split(queriesAndKeys, [queries!, keys!], 0);
    return reshape(promptAttention(config, 'groups', query!, key!, values), [queries!, headSize(config)]);
  };
}

/** Prompts attend to themselves, and responses to their prompts and to themselves. */
function sharedAttention(graph: Graph, config: LanguageModelConfig): GridAttention {
  const { heads, keyValueHeads } = config;
  const width = headSize(config);
  const perKey = heads / keyValueHeads;
  for (const size of ['samples', 'responseTime']) graph.sizeInput(size);
  const promptMask = graph.input('promptMask', 'float32', ['groups', 1, 'promptTime']);
  const promptQueries = product('groups', heads, 'promptTime');
  const promptKeys = product('groups', keyValueHeads, 'promptTime');
  const responseQueries = product('groups', heads, 'samples', 'responseTime');
  const responseKeys = product('groups', keyValueHeads, 'samples', 'responseTime');
  const responseCausal = causalMask(graph, 'responseTime');
  const perPrompt = ['groups', keyValueHeads] as const;
  const perSample = ['groups', keyValueHeads, 'samples'] as const;
  const allSamples = product(perKey, 'samples', 'responseTime');

  return (queriesAndKeys, values) => {
    const [promptQuery, promptKey, responseQuery, responseKey] = split(
      queriesAndKeys,
      [promptQueries, promptKeys, responseQueries, responseKeys],
      0,
    );
    const [promptValue, responseValue] = split(values, [promptKeys, responseKeys], 0);
    const keys = reshape(promptKey!, [...perPrompt, 'promptTime', width]);
    const keyed = reshape(promptValue!, [...perPrompt, 'promptTime', width]);

    const promptOutput = promptAttention(config, 'groups', promptQuery!, promptKey!, promptValue!);

    // A response sees its prompt, all samples of a prompt in one product, and itself: one softmax over both.
    const overPrompt = matMul(reshape(responseQuery!, [...perPrompt, allSamples, width]), keys, { transposeB: true });
    const seen = add(reshape(overPrompt, ['groups', product(keyValueHeads, allSamples), 'promptTime']), promptMask);
    const overResponse = matMul(
      reshape(responseQuery!, [...perSample, product(perKey, 'responseTime'), width]),
      reshape(responseKey!, [...perSample, 'responseTime', width]),
      { transposeB: true },
    );
    const responseRows = [...perSample, perKey, 'responseTime'];
    const masked = add(reshape(overResponse, [...responseRows, 'responseTime']), responseCausal);
    const both = softmax(
      concatenate([reshape(seen, [...responseRows, 'promptTime']), masked], -1, 'promptAndResponseTime'),
    );
    const [ofPrompt, ofResponse] = split(both, ['promptTime', 'responseTime'], -1);
    const fromPrompt = matMul(reshape(ofPrompt!, [...perPrompt, allSamples, 'promptTime']), keyed);
    const fromResponse = matMul(
      reshape(ofResponse!, [...perSample, product(perKey, 'responseTime'), 'responseTime']),
      reshape(responseValue!, [...perSample, 'responseTime', width]),
    );
    const responseOutput = add(
      reshape(fromPrompt, [responseQueries, width]),
      reshape(fromResponse, [responseQueries, width]),
    );
    return concatenate([reshape(promptOutput, [promptQueries, width]), responseOutput], 0, 'outputPlaces');
  };
}

/**
 * Attention of prompts over themselves: no position sees what follows it, so padding on the right is never seen.
 *
 * @param prompts number of prompts
 * @param query of prompts·heads·promptTime·e elements, in this order; scaled
 * @param key of prompts·keyValueHeads·promptTime·e elements
 * @param value the same
 * @returns shape [prompts, keyValueHeads, heads / keyValueHeads · promptTime, e]
 */
export function promptAttention(
  config: LanguageModelConfig,
  prompts: Dimension,
  query: GraphTensor,
  key: GraphTensor,
  value: GraphTensor,
): GraphTensor {
  const { heads, keyValueHeads } = config;
  const width = headSize(config);
  const perKey = heads / keyValueHeads;
  const rows = product(perKey, 'promptTime');
  const keys = reshape(key, [prompts, keyValueHeads, 'promptTime', width]);
  const values = reshape(value, [prompts, keyValueHeads, 'promptTime', width]);
  const scores = matMul(reshape(query, [prompts, keyValueHeads, rows, width]), keys, { transposeB: true });
  const masked = add(
    reshape(scores, [prompts, heads, 'promptTime', 'promptTime']),
    causalMask(query.graph, 'promptTime'),
  );
  return attention(reshape(masked, [prompts, keyValueHeads, rows, 'promptTime']), values);
}

/** 0 where a position sees another, at or before it; −1e9 elsewhere. @returns shape [time, time] */
function causalMask(graph: Graph, time: Dimension): GraphTensor {
  const positions = range(graph, time);
  const sees = lessEqual(reshape(positions, [1, time]), reshape(positions, [time, 1]));
  return select(sees, 0, -1e9);
}

/** The final norm. */
export function finalNorm(config: LanguageModelConfig, weight: WeightInput, x: GraphTensor): GraphTensor {
  return rmsNorm(x, weight('model.norm.weight'), config.rmsNormEpsilon);
}

/**
 * The output projection, of which logits are the sum: an adapter is a part of its own.
 *
 * @param hidden after the final norm, shape [n, d]
 */
export function outputProjections(
  config: LanguageModelConfig,
  weight: WeightInput,
  hidden: GraphTensor,
): readonly Projection[] {
  const own = { x: hidden, weight: weight(config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight') };
  return hasAdapter(config, 'lm_head') ? [own, adapterProjection(config, weight, 'lm_head', hidden)] : [own];
}
