import { concurrency, disposeAll, NativeTensor, type Feed } from '@infalign/tensor-graph';
import { headSize, type LanguageModelConfig, type Weights } from '../definition.js';
import type { LanguageModel, Sequence } from '../language-model.js';
import { rotaryNumbers } from '../rotary-tables.js';
import { equalTokens, unpack } from '../token-sequences.js';
import { batchFeeds, batchSizes } from './batch-feeds.js';
import { createDecoder, type Decoder } from './decoding.js';
import { graphFunctions, type GraphFunctions, type Scores } from './graph-functions.js';
import { createGraphTrainer, mostPassBytes } from './graph-trainer.js';
import { createGraphWeights, type GraphWeights } from './graph-weights.js';
import { chunksOf } from './lanes.js';
import { betterWhole, sharedBatch, type SharedBatch } from './shared-batch.js';

/** A model as the graph executor holds it: what another model needs of it beside the interface. */
interface GraphModel extends LanguageModel {
  /** Scores batches, which are laid out alike, at the same time; the caller disposes of the results. */
  score(batches: readonly SharedBatch[], output: Scores, temperature: number): NativeTensor[];
}

/** What graphs of a model take as inputs beside a batch. */
export interface GraphModelState {
  readonly config: LanguageModelConfig;
  readonly weights: GraphWeights;
  readonly functions: GraphFunctions;
  readonly tables: { readonly rotaryNumbers: NativeTensor };
  /** Parts of a batch that are computed at the same time. */
  readonly lanes: number;
  /** Bytes of weights from which on lanes share products where they sample few responses. */
  readonly largeWeights: number;
}

/** Tokens of one pass: what keeps activations in the processor's cache, and the overhead of a pass small. */
const passTokens = 4096;
/** Logits of one pass at most: 128 MiB of 32-bit floats. */
const passLogits = 2 ** 25;

/**
 * Holds a model in TensorFlow's native library, and executes it as graphs.
 *
 * @param passBytes what activations that are held at a time for training may take
 * @param lanes parts of a batch that are computed at the same time
 * @param largeWeights bytes of weights from which on lanes share products where they sample few responses
 * @throws InputError if the weights do not belong to the configuration
 */
export function createGraphModel(
  config: LanguageModelConfig,
  initial: Weights,
  {
    passBytes = mostPassBytes,
    lanes = concurrency(),
    largeWeights = 2 ** 25,
  }: { readonly passBytes?: number; readonly lanes?: number; readonly largeWeights?: number } = {},
): LanguageModel {
  const weights = createGraphWeights(config, initial);
  const tables = { rotaryNumbers: NativeTensor.of(rotaryNumbers(config), [2 * config.maxPositions, headSize(config)]) };
  const functions = graphFunctions(config, weights.stacks);
  const state: GraphModelState = { config, weights, tables, functions, lanes, largeWeights };
  const disposals: (() => void)[] = [];
  let decoder: Decoder | undefined;

  /** Scores batches, which are laid out alike, at the same time. @param more inputs of each beside the batch; the caller disposes of the results */
  const score = (
    batches: readonly SharedBatch[],
    output: Scores,
    temperature: number,
    more: readonly Readonly<Record<string, Feed>>[] = [],
  ): NativeTensor[] => {
    const scale = NativeTensor.of(Float32Array.of(temperature), []);
    const feeds = batches.map(batchFeeds);
    const fixed = { temperature: scale, ...tables, ...Object.fromEntries(weights.variables) };
    try {
      const inputs = batches.map((batch, index) => ({
        ...batchSizes(batch),
        ...feeds[index],
        ...more[index],
        ...fixed,
      }));
      return functions
        .scoring(batches[0]!.whole)
        .runTogether(inputs, [output])
        .map((result) => result[output]);
    } finally {
      scale.dispose();
      feeds.forEach(disposeAll);
    }
  };
  /** Scores sequences in passes of bounded size; one array a pass. */
  const scored = (
    sequences: readonly Sequence[],
    output: Scores,
    compute: (batches: readonly SharedBatch[]) => NativeTensor[],
  ): { readonly values: Float32Array; readonly batch: SharedBatch }[] => {
    const whole = betterWhole(sequences);
    return chunksOf(passes(sequences, config.vocabSize, lanes), lanes).flatMap((turn) => {
      const batches = turn.map((pass) => sharedBatch(config, pass, { withLast: output === 'rewards', whole }));
      return compute(batches).map((result, index) => ({
        values: result.take() as Float32Array,
        batch: batches[index]!,
      }));
    });
  };
  /** The same; one array a sequence. */
  const ofTokens = (
    sequences: readonly Sequence[],
    output: Scores,
    temperature: number,
    compute = (batches: readonly SharedBatch[]) => score(batches, output, temperature),
  ): Float32Array[] => scored(sequences, output, compute).flatMap(({ values, batch }) => unpack(values, batch.lengths));

  const model: GraphModel = {
    config,
    score,
    sample: (requests, settings) => {
      if (!decoder) {
        decoder = createDecoder(state);
        disposals.push(() => decoder!.dispose());
      }
      return decoder.sample(requests, settings);
    },
    responseLogProbs: (sequences, temperature) => ofTokens(sequences, 'logProbs', temperature),
    logDistributions: (sequences, temperature) =>
      scored(sequences, 'logDistributions', (batches) => score(batches, 'logDistributions', temperature)).flatMap(
        ({ values, batch }) => unpack(values, batch.lengths, config.vocabSize),
      ),
    tokenKl: (reference, sequences, temperature) =>
      ofTokens(sequences, 'divergence', temperature, (batches) => {
        const others = ofGraph(reference).score(batches, 'logDistributions', temperature);
        try {
          const more = others.map((otherLogDistributions) => ({ otherLogDistributions }));
          return score(batches, 'divergence', temperature, more);
        } finally {
          for (const other of others) other.dispose();
        }
      }),
    values: (sequences) => ofTokens(sequences, 'values', 1),
    rewards: (sequences) => {
      const all = scored(sequences, 'rewards', (batches) => score(batches, 'rewards', 1));
      return Float32Array.from(all.flatMap(({ values }) => Array.from(values)));
    },
    weights: () => weights.read(),
    load: (next) => weights.load(next),
    trainer(loss, adam) {
      const { trainer, dispose } = createGraphTrainer(state, loss, adam, passBytes);
      disposals.push(dispose);
      return trainer;
    },
    dispose() {
      for (const dispose of disposals) dispose();
      weights.dispose();
      disposeAll(tables);
    },
  };
  return model;
}

function ofGraph(model: LanguageModel): GraphModel {
  if (!('score' in model)) throw new Error('both models must be held by the same executor');
  return model as GraphModel;
}

/** Cuts sequences into passes, at least so many as there are lanes; prompts that stand together and are shared count once. */
function passes(sequences: readonly Sequence[], vocabulary: number, lanes: number): Sequence[][] {
  const all: Sequence[][] = [];
  const sizes = sizesOf(sequences);
  const inAll = sizes.reduce((sum, size) => sum + size, 0);
  const mostTokens = Math.min(passTokens, Math.ceil(inAll / lanes));
  let tokens = Infinity;
  let states = 0;
  sequences.forEach((sequence, index) => {
    const { promptTokens, responseTokens } = sequence;
    if (
      tokens >= mostTokens ||
      tokens + sizes[index]! > passTokens ||
      (states + responseTokens.length) * vocabulary > passLogits
    ) {
      all.push([]);
      tokens = 0;
      states = 0;
    }
    all.at(-1)!.push(sequence);
    tokens += tokens === 0 ? promptTokens.length + responseTokens.length : sizes[index]!;
    states += responseTokens.length;
  });
  return all;
}

/** Tokens of each sequence, without the prompt where that is the one before it. */
function sizesOf(sequences: readonly Sequence[]): number[] {
  return sequences.map(({ promptTokens, responseTokens }, index) => {
    const before = sequences[index - 1]?.promptTokens;
    const shares = before !== undefined && equalTokens(before, promptTokens);
    return responseTokens.length + (shares ? 0 : promptTokens.length);
  });
}
