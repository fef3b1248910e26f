import { disposeAll, NativeTensor, type Feed } from '@infalign/tensor-graph';
import { headSize, type LanguageModelConfig, type Weights } from '../definition.js';
import type { LanguageModel, Sequence } from '../language-model.js';
import { rotaryTables } from '../rotary-tables.js';
import { equalTokens, unpack } from '../token-sequences.js';
import { batchFeeds, batchSizes } from './batch-feeds.js';
import { createDecoder, type Decoder } from './decoding.js';
import { graphFunctions, type GraphFunctions, type Scores } from './graph-functions.js';
import { createGraphTrainer, mostPassBytes } from './graph-trainer.js';
import { createGraphWeights, type GraphWeights } from './graph-weights.js';
import { sharedBatch, type SharedBatch } from './shared-batch.js';

/** A model as the graph executor holds it: what another model needs of it beside the interface. */
interface GraphModel extends LanguageModel {
  /** Scores a batch; the caller disposes of the result. */
  score(batch: SharedBatch, output: Scores, temperature: number, more?: Readonly<Record<string, Feed>>): NativeTensor;
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
): LanguageModel {
  const weights = createGraphWeights(config, initial);
  const { cos, sin } = rotaryTables(config);
  const tableShape = [config.maxPositions, headSize(config)];
  const tables = { rotaryCos: NativeTensor.of(cos, tableShape), rotarySin: NativeTensor.of(sin, tableShape) };
  const functions = graphFunctions(config, weights.stacks);
  const state: GraphModelState = { config, weights, tables, functions };
  const disposals: (() => void)[] = [];
  let decoder: Decoder | undefined;

  /** Scores sequences in passes of bounded size; one array a pass. */
  const scored = (
    sequences: readonly Sequence[],
    output: Scores,
    compute: (batch: SharedBatch) => NativeTensor,
  ): { readonly values: Float32Array; readonly batch: SharedBatch }[] =>
    passes(sequences, config.vocabSize).map((pass) => {
      const batch = sharedBatch(config, pass, { withLast: output === 'rewards' });
      return { values: compute(batch).take() as Float32Array, batch };
    });
  /** The same; one array a sequence. */
  const ofTokens = (
    sequences: readonly Sequence[],
    output: Scores,
    temperature: number,
    compute = (batch: SharedBatch) => model.score(batch, output, temperature),
  ): Float32Array[] => scored(sequences, output, compute).flatMap(({ values, batch }) => unpack(values, batch.lengths));

  const model: GraphModel = {
    config,
    score(batch, output, temperature, more = {}) {
      const feeds = { ...batchFeeds(batch), temperature: NativeTensor.of(Float32Array.of(temperature), []) };
      try {
        const inputs = { ...batchSizes(batch), ...feeds, ...more, ...tables, ...Object.fromEntries(weights.variables) };
        return functions.scoring.run(inputs, [output])[output];
      } finally {
        disposeAll(feeds);
      }
    },
    sample: (requests, settings) => {
      if (!decoder) {
        decoder = createDecoder(state);
        disposals.push(() => decoder!.dispose());
      }
      return decoder.sample(requests, settings);
    },
    responseLogProbs: (sequences, temperature) => ofTokens(sequences, 'logProbs', temperature),
    tokenKl: (reference, sequences, temperature) =>
      ofTokens(sequences, 'divergence', temperature, (batch) => {
        const otherLogDistributions = ofGraph(reference).score(batch, 'logDistributions', temperature);
        try {
          return model.score(batch, 'divergence', temperature, { otherLogDistributions });
        } finally {
          otherLogDistributions.dispose();
        }
      }),
    values: (sequences) => ofTokens(sequences, 'values', 1),
    rewards: (sequences) => {
      const all = scored(sequences, 'rewards', (batch) => model.score(batch, 'rewards', 1));
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
