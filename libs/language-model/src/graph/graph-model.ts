import { NativeTensor } from '@infalign/tensor-graph';
import { headSize, type LanguageModelConfig, type Weights } from '../definition.js';
import type { LanguageModel, Sequence } from '../language-model.js';
import { batchFeeds, batchSizes } from './batch-feeds.js';
import { createDecoder, type Decoder } from './decoding.js';
import { graphFunctions, type GraphFunctions, type Scores } from './graph-functions.js';
import { createGraphTrainer, mostPassBytes } from './graph-trainer.js';
import { createGraphWeights, type GraphWeights } from './graph-weights.js';
import { sharedBatch, type SharedBatch } from './shared-batch.js';
import { rotaryTables } from './transformer.js';

/** A model as the graph executor holds it: what its trainer and its decoder need beside the interface. */
export interface GraphModel extends LanguageModel {
  readonly state: GraphModelState;
}

/** What graphs of a model take as inputs beside a batch. */
export interface GraphModelState {
  readonly config: LanguageModelConfig;
  readonly weights: GraphWeights;
  readonly functions: GraphFunctions;
  readonly tables: { readonly rotaryCos: NativeTensor; readonly rotarySin: NativeTensor };
}

/** Tokens of one pass: what keeps activations in the processor's cache, and the overhead of a pass small. */
const passTokens = 4096;
/** Logits of one pass at most: 128 MiB of 32-bit floats. */
const passLogits = 2 ** 25;

/**
 * Holds a model in TensorFlow's native library, and executes it as graphs.
 *
 * @param passBytes what activations of a training pass may take
 * @throws InputError if the weights do not belong to the configuration
 */
export function createGraphModel(
  config: LanguageModelConfig,
  initial: Weights,
  { passBytes = mostPassBytes }: { readonly passBytes?: number } = {},
): GraphModel {
  const weights = createGraphWeights(config, initial);
  const { cos, sin } = rotaryTables(config);
  const tableShape = [config.maxPositions, headSize(config)];
  const tables = { rotaryCos: NativeTensor.of(cos, tableShape), rotarySin: NativeTensor.of(sin, tableShape) };
  const functions = graphFunctions(config, weights.stacks);
  const state: GraphModelState = { config, weights, tables, functions };
  const disposals: (() => void)[] = [];
  let decoder: Decoder | undefined;

  /** Scores sequences in passes of bounded size. */
  const scored = (
    sequences: readonly Sequence[],
    output: Scores,
    temperature: number,
    other?: (batch: SharedBatch) => NativeTensor,
  ): Float32Array[] => {
    const results: Float32Array[] = [];
    for (const pass of passes(sequences, config.vocabSize)) {
      const batch = sharedBatch(config, pass, { withLast: output === 'rewards' });
      const otherLogDistributions = other?.(batch);
      const values = score(batch, output, temperature, otherLogDistributions && { otherLogDistributions }).take();
      otherLogDistributions?.dispose();
      if (output === 'rewards') results.push(values as Float32Array);
      else results.push(...unpacked(values as Float32Array, batch.lengths));
    }
    return results;
  };
  const score = (
    batch: SharedBatch,
    output: Scores,
    temperature: number,
    more: Readonly<Record<string, NativeTensor>> = {},
  ): NativeTensor => {
    const feeds = { ...batchFeeds(batch), temperature: NativeTensor.of(Float32Array.of(temperature), []) };
    try {
      const inputs = { ...batchSizes(batch), ...feeds, ...more, ...tables, ...Object.fromEntries(weights.variables) };
      return functions.scoring.run(inputs, [output])[output];
    } finally {
      for (const feed of Object.values(feeds)) feed.dispose();
    }
  };

  const model: GraphModel & { score: typeof score } = {
    config,
    state,
    score,
    sample: (requests, settings) => {
      if (!decoder) {
        decoder = createDecoder(state);
        disposals.push(() => decoder!.dispose());
      }
      return decoder.sample(requests, settings);
    },
    responseLogProbs: (sequences, temperature) => scored(sequences, 'logProbs', temperature),
    tokenKl: (reference, sequences, temperature) =>
      scored(sequences, 'divergence', temperature, (batch) =>
        ofGraph(reference).score(batch, 'logDistributions', temperature),
      ),
    values: (sequences) => scored(sequences, 'values', 1),
    rewards: (sequences) => {
      const parts = scored(sequences, 'rewards', 1);
      const all = new Float32Array(sequences.length);
      parts.reduce((start, part) => (all.set(part, start), start + part.length), 0);
      return all;
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
      tables.rotaryCos.dispose();
      tables.rotarySin.dispose();
    },
  };
  return model;

  function ofGraph(other: LanguageModel): { score: typeof score } {
    if (!('score' in other)) throw new Error('both models must be held by the same executor');
    return other as LanguageModel & { score: typeof score };
  }
}

/** Cuts sequences into passes; prompts that stand together and are shared count once. */
function passes(sequences: readonly Sequence[], vocabulary: number): Sequence[][] {
  const all: Sequence[][] = [];
  let tokens = Infinity;
  let states = 0;
  let prompt: ArrayLike<number> | undefined;
  for (const sequence of sequences) {
    const { promptTokens, responseTokens } = sequence;
    const shares = prompt !== undefined && equalTokens(prompt, promptTokens);
    const more = responseTokens.length + (shares ? 0 : promptTokens.length);
    if (tokens + more > passTokens || (states + responseTokens.length) * vocabulary > passLogits) {
      all.push([]);
      tokens = 0;
      states = 0;
    }
    all.at(-1)!.push(sequence);
    tokens += tokens === 0 ? promptTokens.length + responseTokens.length : more;
    states += responseTokens.length;
    prompt = promptTokens;
  }
  return all;
}

/** Whether two arrays hold the same tokens. */
export function equalTokens(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** Cuts the values of all response tokens into one array a sequence. */
function unpacked(values: Float32Array, lengths: Int32Array): Float32Array[] {
  let start = 0;
  return Array.from(lengths, (length) => values.slice(start, (start += length)));
}
