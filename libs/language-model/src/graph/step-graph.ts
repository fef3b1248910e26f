import {
  add,
  compile,
  concatenate,
  firstRows,
  gather,
  Graph,
  lessEqual,
  matMul,
  multiply,
  product,
  range,
  reshape,
  select,
  softmax,
  split,
  type Feed,
  type GraphFunction,
  type GraphTensor,
  type NativeTensor,
} from '@infalign/tensor-graph';
import { headSize, type LanguageModelConfig } from '../definition.js';
import { byKind } from './by-kind.js';
import { cacheNames, nextTokenProjections, rowCache, writePositions } from './decoding-graph.js';
import { weightInputs, type StackedWeight } from './layout.js';
import { sharedLogits, sharedProducts } from './shared-products.js';
import { drawnTokens } from './token-draw.js';
import { layer, rotaryInput, rotationsAt, type Stream } from './transformer.js';

/** How a step is computed. */
export interface StepKind {
  /** Whether rows share prompts, which are in caches of their own; else a row's cache holds its prompt too. */
  readonly shared: boolean;
  /** Lanes that compute products with weights together, each with a part of every weight; 1 where each computes its own. */
  readonly sharing: number;
}

/** What a step gives of every row. */
export type StepOutput = 'probabilities' | 'tokens' | 'logProbs';

const outputNames: readonly StepOutput[] = ['probabilities', 'tokens', 'logProbs'];

/**
 * A graph that computes one more token of every row of some lanes, whose keys and values it leaves in the responses' caches,
 * [rowSlots, keyValueHeads, capacity, e] a layer.
 *
 * Inputs of all lanes: the weights; `temperature`; `rotaryNumbers`. Of each: `tokens` [rows]; `lengths` [rows], positions of the row's
 * cache that are filled; `positions` [rows]; `capacity`.
 *
 * Where rows share prompts, these are in caches of their own. Attention over them works on cells in a grid [groups, keyValueHeads,
 * samples, heads / keyValueHeads]: a prompt's keys meet the queries of all its rows in one product. Inputs of a lane then are also:
 * `cells` [rows·heads], the cell of every row's head; `cellRows` [groups·heads·samples], the `row·heads + head` of every cell;
 * `promptMask` [groups, 1, promptTime]; `samples`.
 *
 * @returns of each lane `probabilities` of the next token, [rows, vocabulary]; and next `tokens` and their `logProbs`, [rows] each, which
 *   are drawn by the inputs `blockUniforms` and `tokenUniforms`, [rows] each
 */
export function stepFunction(
  config: LanguageModelConfig,
  stacks: readonly StackedWeight[],
  kind: StepKind,
): GraphFunction<StepOutput> {
  const byLanes = byKind((lanes: number) => stepOfLanes(config, stacks, kind, lanes));
  const runTogether: LanesFunction['runTogether'] = (inputs, wanted) =>
    byLanes.of(inputs.length).runTogether(inputs, wanted);
  return {
    run: (inputs, wanted) => runTogether([inputs], wanted)[0]!,
    runTogether,
    dispose() {
      for (const each of byLanes.made()) each.dispose();
    },
  };
}

/** Computes steps of a number of lanes. */
type LanesFunction = Pick<GraphFunction<StepOutput>, 'runTogether' | 'dispose'>;

/** The same for a number of lanes. */
function stepOfLanes(
  config: LanguageModelConfig,
  stacks: readonly StackedWeight[],
  { shared, sharing }: StepKind,
  count: number,
): LanesFunction {
  const graph = new Graph();
  const weight = weightInputs(graph, stacks);
  const temperature = graph.input('temperature', 'float32', []);
  const rotary = rotaryInput(graph, config);
  const lanes = Array.from({ length: count }, (_, lane) => stepLane(graph, config, shared, rotary, nameOf(lane)));
  let streams: readonly GraphTensor[] = lanes.map(({ tokens }) => gather(weight('model.embed_tokens.weight'), tokens));
  for (let index = 0; index < config.layers; index++) {
    const inLayer = lanes.map(({ rotations, attend }, lane): Stream => {
      return { x: streams[lane]!, rotations, attend: attend(index) };
    });
    streams = layer(config, weight, index, inLayer, sharedProducts(sharing));
  }
  const projections = streams.map((x) => nextTokenProjections(config, weight, x, temperature));
  const outputs = sharedLogits(projections, sharing).flatMap((logits, lane) => {
    const probabilities = softmax(logits);
    const all: Record<StepOutput, GraphTensor> = { probabilities, ...lanes[lane]!.drawn(probabilities) };
    return outputNames.map((name) => [nameOf(lane)(name), all[name]] as const);
  });
  return laneByLane(compile(graph, Object.fromEntries(outputs)), [...graph.inputs.keys()]);
}

/** What in a graph of several lanes is called, of one of them. */
function nameOf(lane: number): (name: string) => string {
  return (name) => `${name} of lane ${lane}`;
}

/** The lane and the name that `nameOf` was given; what is the same for all lanes is taken from the first. */
function sourceOf(called: string): { readonly called: string; readonly name: string; readonly lane: number } {
  const [, name = called, lane = 0] = /^(.*) of lane (\d+)$/.exec(called) ?? [];
  return { called, name, lane: Number(lane) };
}

/** A function that is given inputs, and gives outputs, by lane. @param inputNames of the graph */
function laneByLane(fn: GraphFunction<string>, inputNames: readonly string[]): LanesFunction {
  const sources = inputNames.map(sourceOf);
  return {
    runTogether<Wanted extends StepOutput>(
      inputs: readonly Readonly<Record<string, Feed>>[],
      wanted = outputNames as readonly Wanted[],
    ) {
      const feeds: Record<string, Feed> = {};
      for (const { called, name, lane } of sources) {
        const feed = inputs[lane]![name];
        if (feed !== undefined) feeds[called] = feed;
      }
      const places = inputs.map((_, lane) => wanted.map(nameOf(lane)));
      const outputs = fn.run(feeds, places.flat());
      return places.map((names) => {
        const tensors = wanted.map((name, index) => [name, outputs[names[index]!]!]);
        return Object.fromEntries(tensors) as Record<Wanted, NativeTensor>;
      });
    },
    dispose: () => fn.dispose(),
  };
}

/** A lane in the graph of a step. */
interface StepLane {
  readonly tokens: GraphTensor;
  readonly rotations: GraphTensor;
  /** How its rows attend in a layer. */
  readonly attend: (layer: number) => Stream['attend'];
  readonly drawn: (probabilities: GraphTensor) => { readonly tokens: GraphTensor; readonly logProbs: GraphTensor };
}

/**
 * Declares the inputs of a lane.
 *
 * @param rotary what `rotaryInput` declares
 * @param named how its inputs and sizes are called in the graph
 */
function stepLane(
  graph: Graph,
  config: LanguageModelConfig,
  shared: boolean,
  rotary: GraphTensor,
  named: (name: string) => string,
): StepLane {
  const { heads, keyValueHeads } = config;
  const perKey = heads / keyValueHeads;
  const width = headSize(config);
  const [rows, capacity] = [named('rows'), named('capacity')];
  const integers = (name: string): GraphTensor => graph.input(named(name), 'int32', [rows]);
  graph.sizeInput(capacity);
  const tokens = integers('tokens');
  const lengths = integers('lengths');
  const positions = integers('positions');

  // Where each row's new key goes: (row·keyValueHeads + head)·capacity + length.
  const headStarts = multiply(range(graph, product(rows, keyValueHeads)), graph.size(capacity));
  const places = reshape(add(reshape(headStarts, [rows, keyValueHeads]), reshape(lengths, [rows, 1])), [
    product(rows, keyValueHeads),
  ]);
  const sees = lessEqual(reshape(range(graph, capacity), [1, 1, capacity]), reshape(lengths, [rows, 1, 1]));
  const responseMask = select(sees, 0, -1e9);
  const rowHeads = product(rows, heads);

  const overPrompts = shared ? promptsInGrid(graph, config, named) : undefined;
  const responseCache = (name: string, x: GraphTensor): GraphTensor => {
    const cache = rowCache(graph, config, name, named);
    return firstRows(reshape(writePositions(cache, places, x), cache.shape), rows);
  };

  return {
    tokens,
    rotations: rotationsAt(rotary, config, positions),
    attend: (index) => (queriesAndKeys, values) => {
      const [queries, key] = split(
        reshape(queriesAndKeys, [rows, heads + keyValueHeads, width]),
        [heads, keyValueHeads],
        1,
      );
      const query = reshape(queries!, [rowHeads, width]);
      const responseKeys = responseCache(cacheNames('response', index).keys, key!);
      const responseValues = responseCache(cacheNames('response', index).values, values);
      const scores = matMul(reshape(query, [rows, keyValueHeads, perKey, width]), responseKeys, {
        transposeB: true,
        fewRows: true,
      });
      const masked = reshape(add(reshape(scores, [rows, heads, capacity]), responseMask), [rowHeads, capacity]);
      const fromResponse = (probabilities: GraphTensor): GraphTensor => {
        const byRow = reshape(probabilities, [rows, keyValueHeads, perKey, capacity]);
        return reshape(matMul(byRow, responseValues, { fewRows: true }), [rowHeads, width]);
      };
      if (!overPrompts) return fromResponse(softmax(masked));
      // One softmax over both.
      const prompts = overPrompts(index, query);
      const both = softmax(concatenate([prompts.scores, masked], 1, named('promptTimeAndCapacity')));
      const [ofPrompt, ofResponse] = split(both, [named('promptTime'), capacity], 1);
      return add(prompts.output(ofPrompt!), fromResponse(ofResponse!));
    },
    drawn(probabilities) {
      const uniforms = (name: string): GraphTensor => graph.input(named(name), 'float32', [rows]);
      return drawnTokens(probabilities, uniforms('blockUniforms'), uniforms('tokenUniforms'));
    },
  };
}

/** Attention of a lane's rows over the prompts that they share. */
function promptsInGrid(
  graph: Graph,
  config: LanguageModelConfig,
  named: (name: string) => string,
): (
  layer: number,
  query: GraphTensor,
) => { readonly scores: GraphTensor; output(probabilities: GraphTensor): GraphTensor } {
  const { heads, keyValueHeads } = config;
  const width = headSize(config);
  const [groups, promptTime, samples] = [named('groups'), named('promptTime'), named('samples')];
  graph.sizeInput(samples);
  const promptMask = graph.input(named('promptMask'), 'float32', [groups, 1, promptTime]);
  const cellCount = product(groups, heads, samples);
  const cells = graph.input(named('cells'), 'int32', [product(named('rows'), heads)]);
  const cellRows = graph.input(named('cellRows'), 'int32', [cellCount]);
  const grid = [groups, keyValueHeads, product(samples, heads / keyValueHeads)] as const;
  const cache = (name: string): GraphTensor => {
    const shape = [named('promptSlots'), keyValueHeads, promptTime, width];
    return firstRows(graph.input(named(name), 'float32', shape), groups);
  };
  return (index, query) => {
    const names = cacheNames('prompt', index);
    const values = cache(names.values);
    const inGrid = matMul(reshape(gather(query, cellRows), [...grid, width]), cache(names.keys), { transposeB: true });
    const seen = add(reshape(inGrid, [groups, product(heads, samples), promptTime]), promptMask);
    return {
      scores: gather(reshape(seen, [cellCount, promptTime]), cells),
      output(probabilities) {
        const byCell = reshape(gather(probabilities, cellRows), [...grid, promptTime]);
        return gather(reshape(matMul(byCell, values), [cellCount, width]), cells);
      },
    };
  };
}
