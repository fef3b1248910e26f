import {
  add,
  broadcastTo,
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
import { rmsNorm, rotate, swiglu } from './operations.js';

/** Gives the input of a graph that is a weight, by the name of its stack. */
export type WeightInput = (name: string) => GraphTensor;

/** For every row of queries and keys, [rows, e] each. */
export interface Rotations {
  readonly cos: GraphTensor;
  readonly sin: GraphTensor;
}

/** The inputs of a graph that are tables of rotary positions, [maxPositions, e] each. */
export function rotaryInputs(graph: Graph, config: LanguageModelConfig): Rotations {
  const shape = [config.maxPositions, headSize(config)];
  return { cos: graph.input('rotaryCos', 'float32', shape), sin: graph.input('rotarySin', 'float32', shape) };
}

/** The rotations of all queries and keys of tokens. @param positions shape [n], int32 @returns shape [n·(heads + keyValueHeads), e] */
export function rotationsAt(config: LanguageModelConfig, tables: Rotations, positions: GraphTensor): Rotations {
  const rotated = config.heads + config.keyValueHeads;
  const [n] = positions.shape;
  const repeated = broadcastTo(reshape(positions, [n!, 1]), [n!, rotated]);
  const rows = reshape(repeated, [product(n!, rotated)]);
  return { cos: gather(tables.cos, rows), sin: gather(tables.sin, rows) };
}

/** How a layer is computed. */
export interface LayerOptions {
  /** Of features of all tokens, those of the tokens that are wanted after attention, for what follows it; all by default. */
  readonly kept?: (features: GraphTensor) => GraphTensor;
  /** How features are multiplied by a linear layer, [input, output], beside its adapter; `matMul` by default. */
  readonly multiplied?: (features: GraphTensor, weight: GraphTensor) => GraphTensor;
}

/**
 * One layer: `x + attention(norm(x))`, then `+ mlp(norm(·))`.
 *
 * @param x the residual stream, shape [n, d]
 * @param attend from rotated queries and keys, rows [n·(heads + keyValueHeads), e], and values, rows [n·keyValueHeads, e], to the
 *   heads' outputs, rows [n·heads, e]
 * @returns the residual stream of the tokens that are kept
 */
export function layer(
  config: LanguageModelConfig,
  weight: WeightInput,
  index: number,
  x: GraphTensor,
  rotations: Rotations,
  attend: (queriesAndKeys: GraphTensor, values: GraphTensor) => GraphTensor,
  { kept = (features) => features, multiplied = matMul }: LayerOptions = {},
): GraphTensor {
  const { heads, keyValueHeads, hiddenSize, rmsNormEpsilon } = config;
  const [n] = x.shape as readonly [Dimension, number];
  const width = headSize(config);
  const prefix = `model.layers.${index}`;
  const of = (name: string): GraphTensor => weight(`${prefix}.${name}.weight`);
  const adapted = (input: GraphTensor, name: string): GraphTensor => {
    const part = adapterProjection(config, weight, `${prefix}.${name}`, input);
    return matMul(part.x, part.weight);
  };
  const linear = (input: GraphTensor, name: string): GraphTensor => {
    const output = multiplied(input, of(name));
    return hasAdapter(config, name) ? add(output, adapted(input, name)) : output;
  };
  const rows = (input: GraphTensor, count: number): GraphTensor => reshape(input, [product(n, count), width]);

  const normalised = rmsNorm(x, of('input_layernorm'), rmsNormEpsilon);
  let projected = multiplied(normalised, of('self_attn.qk_proj'));
  const parts = { 'self_attn.q_proj': heads, 'self_attn.k_proj': keyValueHeads };
  if (Object.keys(parts).some((name) => hasAdapter(config, name))) {
    const outputs = Object.entries(parts).map(([name, count]) =>
      hasAdapter(config, name) ? adapted(normalised, name) : fill(x.graph, [n, count * width], 0),
    );
    projected = add(projected, concatenate(outputs, 1));
  }
  const queriesAndKeys = rows(projected, heads + keyValueHeads);
  const values = rows(linear(normalised, 'self_attn.v_proj'), keyValueHeads);
  const attended = attend(rotate(queriesAndKeys, rotations.cos, rotations.sin), values);
  const middle = add(kept(x), linear(kept(reshape(attended, [n, hiddenSize])), 'self_attn.o_proj'));
  const again = rmsNorm(middle, of('post_attention_layernorm'), rmsNormEpsilon);
  return add(middle, linear(swiglu(linear(again, 'mlp.gate_proj'), linear(again, 'mlp.up_proj')), 'mlp.down_proj'));
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

/**
 * The transformer over a `SharedBatch`, whose arrays are inputs of the graph by their names.
 *
 * @param recompute whether layers are computed again for their gradients
 * @returns the residual stream after the last layer, before the final norm, shape [tokens, d]
 */
export function sharedTransformer(
  graph: Graph,
  config: LanguageModelConfig,
  weight: WeightInput,
  { recompute }: { readonly recompute: boolean },
): GraphTensor {
  const { heads, keyValueHeads } = config;
  const width = headSize(config);
  const perKey = heads / keyValueHeads;
  const rotated = heads + keyValueHeads;
  const integers = (name: string, size: Dimension): GraphTensor => graph.input(name, 'int32', [size]);
  for (const size of ['groups', 'promptTime', 'samples', 'responseTime']) graph.sizeInput(size);
  const tokens = integers('tokens', 'tokens');
  const positions = integers('positions', 'tokens');
  const queryKeySource = integers('queryKeySource', 'queryKeyPlaces');
  const queryKeyTarget = integers('queryKeyTarget', product('tokens', rotated));
  const valueSource = integers('valueSource', 'valuePlaces');
  const valueTarget = integers('valueTarget', product('tokens', keyValueHeads));
  const outputSource = integers('outputSource', product('tokens', heads));
  const promptMask = graph.input('promptMask', 'float32', ['groups', 1, 'promptTime']);

  const scale = width ** -0.5;
  const promptQueries = product('groups', heads, 'promptTime');
  const promptKeys = product('groups', keyValueHeads, 'promptTime');
  const responseQueries = product('groups', heads, 'samples', 'responseTime');
  const responseKeys = product('groups', keyValueHeads, 'samples', 'responseTime');
  const responseCausal = causalMask(graph, 'responseTime');
  const perPrompt = ['groups', keyValueHeads] as const;
  const perSample = ['groups', keyValueHeads, 'samples'] as const;
  const allSamples = product(perKey, 'samples', 'responseTime');

  const attend = (queriesAndKeys: GraphTensor, values: GraphTensor): GraphTensor => {
    const [promptQuery, promptKey, responseQuery, responseKey] = split(
      moveRows(queriesAndKeys, queryKeySource, queryKeyTarget),
      [promptQueries, promptKeys, responseQueries, responseKeys],
      0,
    );
    const [promptValue, responseValue] = split(
      moveRows(values, valueSource, valueTarget),
      [promptKeys, responseKeys],
      0,
    );
    const keys = reshape(promptKey!, [...perPrompt, 'promptTime', width]);
    const keyed = reshape(promptValue!, [...perPrompt, 'promptTime', width]);

    const promptOutput = promptAttention(config, 'groups', promptQuery!, promptKey!, promptValue!);

    // A response sees its prompt, all samples of a prompt in one product, and itself: one softmax over both.
    const query = multiply(responseQuery!, scale);
    const overPrompt = matMul(reshape(query, [...perPrompt, allSamples, width]), keys, { transposeB: true });
    const seen = add(reshape(overPrompt, ['groups', product(keyValueHeads, allSamples), 'promptTime']), promptMask);
    const overResponse = matMul(
      reshape(query, [...perSample, product(perKey, 'responseTime'), width]),
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
    const outputs = concatenate([reshape(promptOutput, [promptQueries, width]), responseOutput], 0, 'outputPlaces');
    return gather(outputs, outputSource);
  };

  const rotations = rotationsAt(config, rotaryInputs(graph, config), positions);
  let x = gather(weight('model.embed_tokens.weight'), tokens);
  for (let index = 0; index < config.layers; index++) {
    const compute = (input: GraphTensor): GraphTensor => layer(config, weight, index, input, rotations, attend);
    x = recompute ? recomputed(x, compute) : compute(x);
  }
  return x;
}

/**
 * Attention of prompts over themselves: no position sees what follows it, so padding on the right is never seen.
 *
 * @param prompts number of prompts
 * @param query of prompts·heads·promptTime·e elements, in this order; not scaled
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
  const scaled = multiply(reshape(query, [prompts, keyValueHeads, rows, width]), width ** -0.5);
  const scores = matMul(scaled, keys, { transposeB: true });
  const masked = add(
    reshape(scores, [prompts, heads, 'promptTime', 'promptTime']),
    causalMask(query.graph, 'promptTime'),
  );
  return matMul(reshape(softmax(masked), [prompts, keyValueHeads, rows, 'promptTime']), values);
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
