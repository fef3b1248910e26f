import * as tf from '@tensorflow/tfjs-core';
import { adapterScale, hasAdapter, headSize, type LanguageModelConfig } from '../definition.js';
import { rotaryTables } from '../rotary-tables.js';
import { attention, rmsNorm, rotate, swiglu } from './operations.js';

/** Gives the tensor of a weight by its Hugging Face name. */
export type WeightTensor = (name: string) => tf.Tensor;

/** Rotary position tables, of shape [maxPositions, head size] each. */
export interface RotaryTables {
  readonly cos: tf.Tensor2D;
  readonly sin: tf.Tensor2D;
}

/** The tables as tensors. */
export function rotaryTensors(config: LanguageModelConfig): RotaryTables {
  const { cos, sin } = rotaryTables(config);
  const shape: [number, number] = [config.maxPositions, headSize(config)];
  return { cos: tf.tensor2d(cos, shape), sin: tf.tensor2d(sin, shape) };
}

/** The rotation of each of n rows by its position: tensors of shape [n, 1, head size]. */
export function rotationsAt(tables: RotaryTables, positions: tf.Tensor1D): { cos: tf.Tensor; sin: tf.Tensor } {
  return {
    cos: tf.expandDims(tf.gather(tables.cos, positions), 1),
    sin: tf.expandDims(tf.gather(tables.sin, positions), 1),
  };
}

/** Queries, keys and values of one layer, positions applied: [n, heads, e], [n, keyValueHeads, e] twice. */
export interface Projections {
  readonly query: tf.Tensor3D;
  readonly key: tf.Tensor3D;
  readonly value: tf.Tensor3D;
}

/**
 * One layer: `x + attention(norm(x))`, then `+ mlp(norm(·))`.
 *
 * @param x the residual stream, shape [n, d], n positions in all
 * @param attend from the layer's projections to the heads' outputs, shape [n, d]
 */
export function layer(
  config: LanguageModelConfig,
  weight: WeightTensor,
  index: number,
  x: tf.Tensor2D,
  rotations: { readonly cos: tf.Tensor; readonly sin: tf.Tensor },
  attend: (projections: Projections) => tf.Tensor2D,
): tf.Tensor2D {
  const linear = (input: tf.Tensor2D, name: string): tf.Tensor2D =>
    linearLayer(config, weight, `model.layers.${index}.${name}`, input);
  const norm = (input: tf.Tensor2D, name: string): tf.Tensor2D =>
    rmsNorm(input, weight(`model.layers.${index}.${name}.weight`) as tf.Tensor1D, config.rmsNormEpsilon);
  const heads = (input: tf.Tensor2D, count: number): tf.Tensor3D => tf.reshape(input, [-1, count, headSize(config)]);

  const normalised = norm(x, 'input_layernorm');
  const query = rotate(heads(linear(normalised, 'self_attn.q_proj'), config.heads), rotations.cos, rotations.sin);
  const attended = attend({
    query: tf.mul(query, headSize(config) ** -0.5),
    key: rotate(heads(linear(normalised, 'self_attn.k_proj'), config.keyValueHeads), rotations.cos, rotations.sin),
    value: heads(linear(normalised, 'self_attn.v_proj'), config.keyValueHeads),
  });
  const middle: tf.Tensor2D = tf.add(x, linear(attended, 'self_attn.o_proj'));
  const again = norm(middle, 'post_attention_layernorm');
  const activated = swiglu(linear(again, 'mlp.gate_proj'), linear(again, 'mlp.up_proj'));
  return tf.add(middle, linear(activated, 'mlp.down_proj'));
}

/** `x·Wᵀ`, and `(α/r)·(x·Aᵀ)·Bᵀ` where the layer has an adapter. @param x shape [n, input] */
function linearLayer(config: LanguageModelConfig, weight: WeightTensor, module: string, x: tf.Tensor2D): tf.Tensor2D {
  const product = (input: tf.Tensor2D, name: string): tf.Tensor2D =>
    tf.matMul(input, weight(`${module}.${name}`), false, true);
  const output = product(x, 'weight');
  if (!hasAdapter(config, module)) return output;
  const reduced: tf.Tensor2D = tf.mul(product(x, 'lora_A.weight'), adapterScale(config));
  return tf.add(output, product(reduced, 'lora_B.weight'));
}

/**
 * Arranges queries for grouped-query attention: the queries that share a key head stand one after another.
 *
 * @param query shape [b·t, heads, e]
 * @returns shape [b, keyValueHeads, group·t, e]
 */
export function groupedQueries(config: LanguageModelConfig, query: tf.Tensor3D, batch: number): tf.Tensor4D {
  const group = config.heads / config.keyValueHeads;
  const time = query.shape[0] / batch;
  const parts = tf.reshape(query, [batch, time, config.keyValueHeads, group, headSize(config)]);
  return tf.reshape(tf.transpose(parts, [0, 2, 3, 1, 4]), [
    batch,
    config.keyValueHeads,
    group * time,
    headSize(config),
  ]);
}

/** Undoes `groupedQueries` on the attention's output. @returns shape [b·t, d] */
export function ungrouped(config: LanguageModelConfig, output: tf.Tensor4D): tf.Tensor2D {
  const group = config.heads / config.keyValueHeads;
  const [batch, , rows] = output.shape;
  const time = rows / group;
  const parts = tf.reshape(output, [batch, config.keyValueHeads, group, time, headSize(config)]);
  return tf.reshape(tf.transpose(parts, [0, 3, 1, 2, 4]), [batch * time, config.hiddenSize]);
}

/** Keys or values by head. @param x shape [b·t, keyValueHeads, e] @returns shape [b, keyValueHeads, t, e] */
export function byHead(x: tf.Tensor3D, batch: number): tf.Tensor4D {
  const [rows, heads, width] = x.shape;
  return tf.transpose(tf.reshape(x, [batch, rows / batch, heads, width]), [0, 2, 1, 3]);
}

/** A causal mask for `groupedQueries`: 0 at and before the query's position, −1e9 after it. @returns shape [group·t, t] */
export function causalMask(config: LanguageModelConfig, time: number): tf.Tensor2D {
  const group = config.heads / config.keyValueHeads;
  const mask = new Float32Array(group * time * time);
  for (let row = 0; row < group * time; row++) mask.fill(-1e9, row * time + (row % time) + 1, (row + 1) * time);
  return tf.tensor2d(mask, [group * time, time]);
}

/**
 * The transformer over whole sequences, padded on the right (no position sees what follows it, so padding is never seen).
 *
 * @param tokens shape [b·t], int32
 * @returns the residual stream after the last layer, before the final norm, shape [b·t, d]
 */
export function transform(
  config: LanguageModelConfig,
  weight: WeightTensor,
  tables: RotaryTables,
  tokens: tf.Tensor1D,
  batch: number,
): tf.Tensor2D {
  const time = tokens.shape[0] / batch;
  const positions = tf.tile(tf.range(0, time, 1, 'int32'), [batch]);
  const rotations = rotationsAt(tables, positions);
  const mask = causalMask(config, time);
  let x = tf.gather(weight('model.embed_tokens.weight') as tf.Tensor2D, tokens);
  for (let index = 0; index < config.layers; index++) {
    x = layer(config, weight, index, x, rotations, ({ query, key, value }) =>
      ungrouped(
        config,
        attention(groupedQueries(config, query, batch), byHead(key, batch), byHead(value, batch), mask),
      ),
    );
  }
  return x;
}

/** The final norm. @param x shape [n, d] */
export function finalNorm(config: LanguageModelConfig, weight: WeightTensor, x: tf.Tensor2D): tf.Tensor2D {
  return rmsNorm(x, weight('model.norm.weight') as tf.Tensor1D, config.rmsNormEpsilon);
}

/** The output projection, shape [vocabulary, d], with what an adapter adds to it. */
export function outputProjection(config: LanguageModelConfig, weight: WeightTensor): tf.Tensor2D {
  const projection = weight(config.tieWordEmbeddings ? 'model.embed_tokens.weight' : 'lm_head.weight') as tf.Tensor2D;
  if (!hasAdapter(config, 'lm_head')) return projection;
  const [up, down] = [weight('lm_head.lora_B.weight'), weight('lm_head.lora_A.weight')] as [tf.Tensor2D, tf.Tensor2D];
  return tf.add(projection, tf.mul(tf.matMul(up, down), adapterScale(config)));
}
