import {
  add,
  after,
  broadcastTo,
  compile,
  concatenate,
  divide,
  firstRows,
  gather,
  Graph,
  lessEqual,
  matMul,
  multiply,
  product,
  projected,
  range,
  reshape,
  select,
  softmax,
  split,
  transpose,
  writeRowsInPlace,
  type Dimension,
  type GraphFunction,
  type GraphTensor,
  type Projection,
} from '@infalign/tensor-graph';
import { headSize, type LanguageModelConfig } from '../definition.js';
import { weightInputs, type StackedWeight } from './layout.js';
import { drawnTokens } from './token-draw.js';
import { finalNorm, layer, outputProjections, promptAttention, rotationsAt, type WeightInput } from './transformer.js';

/** How a step is computed. */
export interface StepKind {
  /** Whether rows share prompts, which are in caches of their own; else a row's cache holds its prompt too. */
  readonly shared: boolean;
  /** Into how many parts products with weights are cut, which can be computed at the same time. */
  readonly cut: number;
}

/** What a step gives of every row. */
export type StepOutput = 'probabilities' | 'tokens' | 'logProbs';

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
  const rotations = rotationsAt(graph, config, positions);
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
    const options = index === config.layers - 1 ? { kept: (features: GraphTensor) => gather(features, last) } : {};
    x = layer(config, weight, index, x, rotations, attend, options);
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

/** The cache of keys or values of a layer by row, as an input. */
function rowCache(graph: Graph, config: LanguageModelConfig, name: string): GraphTensor {
  return graph.input(name, 'float32', ['rowSlots', config.keyValueHeads, 'capacity', headSize(config)]);
}

/**
 * Writes keys or values into positions of a cache, in place.
 *
 * @param cache shape [slots, keyValueHeads, capacity, e]
 * @param places shape [m], `(slot·keyValueHeads + head)·capacity + position`
 * @param x of m·e elements
 * @returns the cache as [slots·keyValueHeads·capacity, e]
 */
function writePositions(cache: GraphTensor, places: GraphTensor, x: GraphTensor): GraphTensor {
  const width = cache.shape.at(-1)!;
  const flat = reshape(cache, [product(...cache.shape.slice(0, -1)), width]);
  return writeRowsInPlace(flat, places, reshape(x, [...places.shape, width]));
}

/**
 * A graph that computes one more token of every row, whose keys and values it leaves in the responses' caches,
 * [rowSlots, keyValueHeads, capacity, e] a layer.
 *
 * Inputs: `tokens` [rows]; `lengths` [rows], positions of the row's cache that are filled; `positions` [rows]; `capacity`; `temperature`.
 *
 * Where rows share prompts, these are in caches of their own. Attention over them works on cells in a grid [groups, keyValueHeads,
 * samples, heads / keyValueHeads]: a prompt's keys meet the queries of all its rows in one product. Inputs then are also: `cells`
 * [rows·heads], the cell of every row's head; `cellRows` [groups·heads·samples], the `row·heads + head` of every cell; `promptMask`
 * [groups, 1, promptTime]; `samples`.
 *
 * @returns `probabilities` of the next token, [rows, vocabulary]; and next `tokens` and their `logProbs`, [rows] each, which are drawn
 *   by the inputs `blockUniforms` and `tokenUniforms`, [rows] each
 */
export function stepFunction(
  config: LanguageModelConfig,
  stacks: readonly StackedWeight[],
  { shared, cut }: StepKind,
): GraphFunction<StepOutput> {
  const graph = new Graph();
  const weight = weightInputs(graph, stacks);
  const { heads, keyValueHeads } = config;
  const perKey = heads / keyValueHeads;
  const width = headSize(config);
  const integers = (name: string, size: Dimension): GraphTensor => graph.input(name, 'int32', [size]);
  graph.sizeInput('capacity');
  const tokens = integers('tokens', 'rows');
  const lengths = integers('lengths', 'rows');
  const positions = integers('positions', 'rows');
  const temperature = graph.input('temperature', 'float32', []);

  // Where each row's new key goes: (row·keyValueHeads + head)·capacity + length.
  const headStarts = multiply(range(graph, product('rows', keyValueHeads)), graph.size('capacity'));
  const places = reshape(add(reshape(headStarts, ['rows', keyValueHeads]), reshape(lengths, ['rows', 1])), [
    product('rows', keyValueHeads),
  ]);
  const sees = lessEqual(reshape(range(graph, 'capacity'), [1, 1, 'capacity']), reshape(lengths, ['rows', 1, 1]));
  const responseMask = select(sees, 0, -1e9);
  const rowHeads = product('rows', heads);
  const rotations = rotationsAt(graph, config, positions);

  const overPrompts = shared ? promptsInGrid(graph, config) : undefined;
  const responseCache = (name: string, x: GraphTensor): GraphTensor => {
    const cache = rowCache(graph, config, name);
    return firstRows(reshape(writePositions(cache, places, x), cache.shape), 'rows');
  };

  let x = gather(weight('model.embed_tokens.weight'), tokens);
  for (let index = 0; index < config.layers; index++) {
    const attend = (queriesAndKeys: GraphTensor, values: GraphTensor): GraphTensor => {
      const [queries, key] = split(
        reshape(queriesAndKeys, ['rows', heads + keyValueHeads, width]),
        [heads, keyValueHeads],
        1,
      );
      const query = reshape(queries!, [rowHeads, width]);
      const responseKeys = responseCache(cacheNames('response', index).keys, key!);
      const responseValues = responseCache(cacheNames('response', index).values, values);
      const scores = matMul(reshape(query, ['rows', keyValueHeads, perKey, width]), responseKeys, {
        transposeB: true,
        fewRows: true,
      });
      const masked = reshape(add(reshape(scores, ['rows', heads, 'capacity']), responseMask), [rowHeads, 'capacity']);
      const fromResponse = (probabilities: GraphTensor): GraphTensor => {
        const byRow = reshape(probabilities, ['rows', keyValueHeads, perKey, 'capacity']);
        return reshape(matMul(byRow, responseValues, { fewRows: true }), [rowHeads, width]);
      };
      if (!overPrompts) return fromResponse(softmax(masked));
      // One softmax over both.
      const prompts = overPrompts(index, query);
      const both = softmax(concatenate([prompts.scores, masked], 1, 'promptTimeAndCapacity'));
      const [ofPrompt, ofResponse] = split(both, ['promptTime', 'capacity'], 1);
      return add(prompts.output(ofPrompt!), fromResponse(ofResponse!));
    };
    x = layer(config, weight, index, x, rotations, attend, { multiplied: cutByInputs(cut) });
  }
  const projections = nextTokenProjections(config, weight, x, temperature);
  const probabilities = softmax(cutByOutputs(projections, cut));
  const uniforms = (name: string): GraphTensor => graph.input(name, 'float32', ['rows']);
  return compile(graph, {
    probabilities,
    ...drawnTokens(probabilities, uniforms('blockUniforms'), uniforms('tokenUniforms')),
  });
}

/** Attention of rows over the prompts that they share. */
function promptsInGrid(
  graph: Graph,
  config: LanguageModelConfig,
): (
  layer: number,
  query: GraphTensor,
) => { readonly scores: GraphTensor; output(probabilities: GraphTensor): GraphTensor } {
  const { heads, keyValueHeads } = config;
  const width = headSize(config);
  graph.sizeInput('samples');
  const promptMask = graph.input('promptMask', 'float32', ['groups', 1, 'promptTime']);
  const cellCount = product('groups', heads, 'samples');
  const cells = graph.input('cells', 'int32', [product('rows', heads)]);
  const cellRows = graph.input('cellRows', 'int32', [cellCount]);
  const grid = ['groups', keyValueHeads, product('samples', heads / keyValueHeads)] as const;
  const cache = (name: string): GraphTensor =>
    firstRows(graph.input(name, 'float32', ['promptSlots', keyValueHeads, 'promptTime', width]), 'groups');
  return (index, query) => {
    const names = cacheNames('prompt', index);
    const values = cache(names.values);
    const inGrid = matMul(reshape(gather(query, cellRows), [...grid, width]), cache(names.keys), { transposeB: true });
    const seen = add(reshape(inGrid, ['groups', product(heads, 'samples'), 'promptTime']), promptMask);
    return {
      scores: gather(reshape(seen, [cellCount, 'promptTime']), cells),
      output(probabilities) {
        const byCell = reshape(gather(probabilities, cellRows), [...grid, 'promptTime']);
        return gather(reshape(matMul(byCell, values), [cellCount, width]), cells);
      },
    };
  };
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
function nextTokenProjections(
  config: LanguageModelConfig,
  weight: WeightInput,
  x: GraphTensor,
  temperature: GraphTensor,
): readonly Projection[] {
  return outputProjections(config, weight, divide(finalNorm(config, weight, x), temperature));
}

/** Products `x·V` as sums over parts of the inputs. Rows of V are cut without copying them. */
function cutByInputs(parts: number): (x: GraphTensor, weight: GraphTensor) => GraphTensor {
  if (parts === 1) return matMul;
  return (x, weight) => {
    const sizes = partSizes(weight.shape[0] as number, parts);
    const rows = split(weight, sizes, 0);
    return split(x, sizes, 1)
      .map((part, index) => matMul(part, rows[index]!))
      .reduce(add);
  };
}

/** What `projected` gives, computed in parts of the vocabulary. */
function cutByOutputs(projections: readonly Projection[], parts: number): GraphTensor {
  if (parts === 1) return projected(projections);
  const sizes = partSizes(projections[0]!.weight.shape[0] as number, parts);
  const weights = projections.map(({ weight }) => split(weight, sizes, 0));
  const logits = sizes.map((_, part) =>
    projected(projections.map(({ x }, index) => ({ x, weight: weights[index]![part]! }))),
  );
  return concatenate(logits, 1);
}

/** Cuts a size into parts of about the same size: as many as there are to be, but no empty ones. */
function partSizes(size: number, parts: number): number[] {
  const count = Math.min(size, parts);
  const upTo = (part: number): number => Math.ceil((part * size) / count);
  return Array.from({ length: count }, (_, part) => upTo(part + 1) - upTo(part));
}
