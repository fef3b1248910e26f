import {
  add,
  after,
  broadcastTo,
  compile,
  divide,
  gather,
  Graph,
  multiply,
  product,
  projected,
  range,
  reshape,
  softmax,
  split,
  transpose,
  writeRowsInPlace,
  type GraphFunction,
  type GraphTensor,
  type Projection,
} from '@infalign/tensor-graph';
import { headSize, type LanguageModelConfig } from '../definition.js';
import { weightInputs, type StackedWeight } from './layout.js';
import {
  finalNorm,
  layer,
  outputProjections,
  promptAttention,
  rotaryInput,
  rotationsAt,
  type WeightInput,
} from './transformer.js';

/** The caches of keys and values of one layer, inputs of the graphs by these names. */
export function cacheNames(
  kind: 'prompt' | 'response',
  layer: number,
): { readonly keys: string; readonly values: string } {
  return { keys: `${kind}Keys${layer}`, values: `${kind}Values${layer}` };
}

/**
 * A graph that computes prompts and leaves their keys and values in caches: those of prompts, [promptSlots, keyValueHeads, promptTime, e]
 * a layer, or those of responses, [rowSlots, keyValueHeads, capacity, e], which then go on from there.
 *
 * Inputs: `tokens` [prompts, promptTime], padded on the right; `lengths` [prompts]; `slots` [prompts]; `temperature`.
 *
 * @returns `probabilities` of the next token, [prompts, vocabulary]
 */
export function prefillFunction(
  config: LanguageModelConfig,
  stacks: readonly StackedWeight[],
  into: 'prompt' | 'response',
): GraphFunction<'probabilities'> {
  const graph = new Graph();
  const weight = weightInputs(graph, stacks);
  const { heads, keyValueHeads } = config;
  const width = headSize(config);
  const tokens = graph.input('tokens', 'int32', ['prompts', 'promptTime']);
  const lengths = graph.input('lengths', 'int32', ['prompts']);
  const slots = graph.input('slots', 'int32', ['prompts']);
  const temperature = graph.input('temperature', 'float32', []);
  const rows = product('prompts', 'promptTime');
  const times = reshape(range(graph, 'promptTime'), [1, 'promptTime']);
  const positions = reshape(broadcastTo(times, ['prompts', 'promptTime']), [rows]);
  const rotations = rotationsAt(rotaryInput(graph, config), config, positions);
  const byHead = (x: GraphTensor, count: number): GraphTensor =>
    transpose(reshape(x, ['prompts', 'promptTime', count, width]), [0, 2, 1, 3]);
  const starts = multiply(range(graph, 'prompts'), graph.size('promptTime'));
  const last = add(add(starts, lengths), graph.constant(Int32Array.of(-1), []));
  const written: GraphTensor[] = [];
  const keep = into === 'prompt' ? promptWriter(graph, config, slots) : rowWriter(graph, config, slots);
  let x = gather(weight('model.embed_tokens.weight'), reshape(tokens, [rows]));
  for (let index = 0; index < config.layers; index++) {
    const attend = (queriesAndKeys: GraphTensor, values: GraphTensor): GraphTensor => {
      const [query, key] = split(byHead(queriesAndKeys, heads + keyValueHeads), [heads, keyValueHeads], 1);
      const value = byHead(values, keyValueHeads);
      const names = cacheNames(into, index);
      written.push(keep(names.keys, key!), keep(names.values, value));
      const output = promptAttention(config, 'prompts', query!, key!, value);
      return reshape(transpose(reshape(output, ['prompts', heads, 'promptTime', width]), [0, 2, 1, 3]), [
        product(rows, heads),
        width,
      ]);
    };
    // After the last keys and values only the last tokens matter.
    const stream = { x, rotations, attend };
    const kept = (features: GraphTensor): GraphTensor => gather(features, last);
    [x] = layer(config, weight, index, [index === config.layers - 1 ? { ...stream, kept } : stream]) as [GraphTensor];
  }
  const probabilities = softmax(projected(nextTokenProjections(config, weight, x, temperature)));
  return compile(graph, { probabilities: after(probabilities, written) });
}

/** Writes keys or values of prompts, of prompts·keyValueHeads·promptTime·e elements, into slots of the prompts' caches. */
function promptWriter(
  graph: Graph,
  config: LanguageModelConfig,
  slots: GraphTensor,
): (name: string, x: GraphTensor) => GraphTensor {
  const shape = [config.keyValueHeads, 'promptTime', headSize(config)] as const;
  return (name, x) =>
    writeRowsInPlace(graph.input(name, 'float32', ['promptSlots', ...shape]), slots, reshape(x, ['prompts', ...shape]));
}

/** The same into the beginnings of rows of the responses' caches. */
function rowWriter(
  graph: Graph,
  config: LanguageModelConfig,
  slots: GraphTensor,
): (name: string, x: GraphTensor) => GraphTensor {
  const { keyValueHeads } = config;
  graph.sizeInput('capacity');
  // (slot·keyValueHeads + head)·capacity + time
  const heads = add(
    multiply(reshape(slots, ['prompts', 1]), graph.constant(Int32Array.of(keyValueHeads), [])),
    reshape(range(graph, keyValueHeads), [1, keyValueHeads]),
  );
  const starts = multiply(reshape(heads, ['prompts', keyValueHeads, 1]), graph.size('capacity'));
  const all = product('prompts', keyValueHeads, 'promptTime');
  const places = reshape(add(starts, reshape(range(graph, 'promptTime'), [1, 1, 'promptTime'])), [all]);
  return (name, x) => writePositions(rowCache(graph, config, name), places, x);
}

/** The cache of keys or values of a layer by row, as an input. @param named how inputs and sizes are called */
export function rowCache(
  graph: Graph,
  config: LanguageModelConfig,
  name: string,
  named = (each: string): string => each,
): GraphTensor {
  const shape = [named('rowSlots'), config.keyValueHeads, named('capacity'), headSize(config)];
  return graph.input(named(name), 'float32', shape);
}

/**
 * Writes keys or values into positions of a cache, in place.
 *
 * @param cache shape [slots, keyValueHeads, capacity, e]
 * @param places shape [m], `(slot·keyValueHeads + head)·capacity + position`
 * @param x of m·e elements
 * @returns the cache as [slots·keyValueHeads·capacity, e]
 */
export function writePositions(cache: GraphTensor, places: GraphTensor, x: GraphTensor): GraphTensor {
  const width = cache.shape.at(-1)!;
  const flat = reshape(cache, [product(...cache.shape.slice(0, -1)), width]);
  return writeRowsInPlace(flat, places, reshape(x, [...places.shape, width]));
}

/**
 * A graph that moves rows of the responses' caches to other slots, in place.
 *
 * Inputs: `from` and `to`, [moved] each.
 */
export function moveFunction(config: LanguageModelConfig): GraphFunction<'done'> {
  const graph = new Graph();
  const [from, to] = [graph.input('from', 'int32', ['moved']), graph.input('to', 'int32', ['moved'])];
  const moved: GraphTensor[] = [];
  for (let index = 0; index < config.layers; index++) {
    for (const name of Object.values(cacheNames('response', index))) {
      const cache = rowCache(graph, config, name);
      moved.push(writeRowsInPlace(cache, to, gather(cache, from)));
    }
  }
  return compile(graph, { done: after(from, moved) });
}

/**
 * A graph that copies the responses' caches into larger ones.
 *
 * Inputs: the caches, and the larger ones by the same names after `larger `.
 */
export function growFunction(config: LanguageModelConfig): GraphFunction<'done'> {
  const graph = new Graph();
  const { keyValueHeads } = config;
  const width = headSize(config);
  const grown: GraphTensor[] = [];
  let places: GraphTensor | undefined;
  for (let index = 0; index < config.layers; index++) {
    for (const name of Object.values(cacheNames('response', index))) {
      const cache = rowCache(graph, config, name);
      const larger = graph.input(`larger ${name}`, 'float32', ['rowSlots', keyValueHeads, 'largerCapacity', width]);
      const all = product('rowSlots', keyValueHeads);
      const starts = multiply(range(graph, all), graph.size('largerCapacity'));
      places ??= reshape(add(reshape(starts, [all, 1]), reshape(range(graph, 'capacity'), [1, 'capacity'])), [
        product(all, 'capacity'),
      ]);
      grown.push(writePositions(larger, places, cache));
    }
  }
  return compile(graph, { done: after(graph.scalar(0), grown) });
}

/** The output projection after a residual stream of shape [n, d], divided by the temperature. */
export function nextTokenProjections(
  config: LanguageModelConfig,
  weight: WeightInput,
  x: GraphTensor,
  temperature: GraphTensor,
): readonly Projection[] {
  return outputProjections(config, weight, divide(finalNorm(config, weight, x), temperature));
}
