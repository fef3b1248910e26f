import {
  divide,
  gather,
  add,
  labelLogProbs,
  logSoftmax,
  matMul,
  exponential,
  multiply,
  projected,
  range,
  reshape,
  segmentSum,
  subtract,
  sum,
  type Dimension,
  type Graph,
  type GraphTensor,
} from '@infalign/tensor-graph';
import type { LanguageModelConfig } from '../definition.js';
import {
  finalNorm,
  outputProjections,
  sharedTransformer,
  type TransformerOptions,
  type WeightInput,
} from './transformer.js';

/** What a model gives for a `SharedBatch`, each defined when it is first asked for. */
export interface ModelGraph {
  readonly graph: Graph;
  /** log π of the response tokens, shape [states]. */
  logProbs(): GraphTensor;
  /** log π of every token in the states before the response tokens, shape [states, vocabulary]. */
  logDistributions(): GraphTensor;
  /** KL to the distributions that are the input `otherLogDistributions`, shape [states]. */
  divergence(): GraphTensor;
  /** The value head in the states before the response tokens, shape [states]. */
  values(): GraphTensor;
  /** The reward head at the last tokens, shape [sequences]. */
  rewards(): GraphTensor;
  /** The rewards of the first and of the second half of the sequences, shape [pairs] each. */
  preferences(): { readonly chosen: GraphTensor; readonly rejected: GraphTensor };
  /** log π of the whole responses of the first and of the second half of the sequences, shape [pairs] each. */
  comparedLogProbs(): { readonly chosen: GraphTensor; readonly rejected: GraphTensor };
}

/** Defines a model over the inputs of `batchFeeds`, its weights, and the `temperature`. */
export function modelGraph(
  graph: Graph,
  config: LanguageModelConfig,
  weight: WeightInput,
  options: TransformerOptions,
): ModelGraph {
  const integers = (name: string, size: Dimension): GraphTensor => graph.input(name, 'int32', [size]);
  const hidden = sharedTransformer(graph, config, weight, options);
  const inputs = {
    states: integers('stateTokens', 'states'),
    targets: integers('targets', 'states'),
    last: integers('lastTokens', 'sequences'),
    chosen: integers('chosenTokens', 'pairs'),
    rejected: integers('rejectedTokens', 'pairs'),
    sequences: integers('stateSequences', 'states'),
  };
  const temperature = graph.input('temperature', 'float32', []);
  const statesAt = (tokens: GraphTensor): GraphTensor => finalNorm(config, weight, gather(hidden, tokens));
  const states = once(() => statesAt(inputs.states));
  const projections = once(() => outputProjections(config, weight, divide(states(), temperature)));
  const column = (x: GraphTensor, name: string): GraphTensor =>
    reshape(matMul(x, weight(name), { transposeB: true }), [x.shape[0]!]);
  const reward = (tokens: GraphTensor): GraphTensor => column(statesAt(tokens), 'score.weight');
  const logProbs = once(() => labelLogProbs(projections(), inputs.targets));
  const logDistributions = once(() => logSoftmax(projected(projections())));
  return {
    graph,
    logProbs,
    logDistributions,
    divergence: once(() => {
      const own = logDistributions();
      const other = graph.input('otherLogDistributions', 'float32', own.shape);
      return sum(multiply(exponential(own), subtract(own, other)), { axes: [1] });
    }),
    values: once(() => add(column(states(), 'value_head.weight'), weight('value_head.bias'))),
    rewards: once(() => reward(inputs.last)),
    preferences: () => ({ chosen: reward(inputs.chosen), rejected: reward(inputs.rejected) }),
    comparedLogProbs() {
      const sums = segmentSum(logProbs(), inputs.sequences, 'sequences');
      const chosen = range(graph, 'pairs');
      return { chosen: gather(sums, chosen), rejected: gather(sums, add(chosen, graph.size('pairs'))) };
    },
  };
}

function once<T>(compute: () => T): () => T {
  let value: T | undefined;
  return () => (value ??= compute());
}
