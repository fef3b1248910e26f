import { InputError } from '@infalign/core';
import {
  absolute,
  add,
  clip,
  clipByGlobalNorm,
  compile,
  createAdam,
  exponential,
  Graph,
  gradients,
  logarithmOfOnePlus,
  maximum,
  mean,
  multiply,
  NativeTensor,
  negative,
  positive,
  relu,
  square,
  subtract,
  type GraphFunction,
  type GraphTensor,
} from '@infalign/tensor-graph';
import type { Arithmetic } from '@infalign/core';
import type { Weights } from '../definition.js';
import type { AdamSettings, Loss, Trainer } from '../language-model.js';
import { batchFeeds, batchSizes } from './batch-feeds.js';
import type { GraphModelState } from './graph-model.js';
import { readStacks } from './graph-weights.js';
import { modelGraph } from './heads.js';
import { stacked, weightInputs } from './layout.js';
import { sharedBatch } from './shared-batch.js';

/** Arithmetic on tensors of a graph. */
const graphArithmetic: Arithmetic<GraphTensor> = {
  add,
  subtract,
  multiply,
  maximum,
  clip,
  negative,
  absolute,
  relu,
  square,
  exponential,
  logarithmOfOnePlus,
  positive,
  mean: (x) => mean(x),
};

/** A graph that computes a loss, its statistics and its gradients. */
interface TrainingFunction {
  readonly fn: GraphFunction<string>;
  /** Outputs that are numbers. */
  readonly reported: readonly string[];
  /** The weights that the loss depends on. */
  readonly trained: readonly string[];
  /** Whether the last tokens take part. */
  readonly withLast: boolean;
}

/** Trains a model with Adam: one graph computes the loss and clipped gradients, one native operation a weight applies them. */
export function createGraphTrainer<Input extends string, Statistic extends string>(
  state: GraphModelState,
  loss: Loss<Input, Statistic>,
  adam: AdamSettings,
): { readonly trainer: Trainer<Input, Statistic>; dispose(): void } {
  const { weights, tables, config } = state;
  const optimiser = createAdam(new Map(weights.trained.map(({ name }) => [name, weights.variables.get(name)!])), adam);
  let training: TrainingFunction | undefined;

  const trainer: Trainer<Input, Statistic> = {
    step(sequences, inputs, { learningRate, maxGradientNorm, temperature }) {
      training ??= trainingFunction(state, loss);
      const { fn, reported, trained, withLast } = training;
      const scalar = (value: number): NativeTensor => NativeTensor.of(Float32Array.of(value), []);
      const batch = sharedBatch(config, sequences, { withLast });
      const feeds: Record<string, NativeTensor> = {
        ...batchFeeds(batch),
        temperature: scalar(temperature),
        maxGradientNorm: scalar(maxGradientNorm),
      };
      for (const [name, values] of Object.entries<Float32Array>(inputs)) {
        feeds[lossInput(name)] = NativeTensor.of(values, [values.length]);
      }
      let results: Record<string, NativeTensor>;
      try {
        results = fn.run({ ...batchSizes(batch), ...feeds, ...tables, ...Object.fromEntries(weights.variables) });
      } finally {
        for (const feed of Object.values(feeds)) feed.dispose();
      }
      try {
        const result = Object.fromEntries(reported.map((name) => [name, results[name]!.read()[0]!]));
        if (!Number.isFinite(result['loss']) || !Number.isFinite(result['gradientNorm'])) {
          throw new InputError(
            `training diverged: loss ${result['loss']}, gradient norm ${result['gradientNorm']}; lower the learning rate`,
          );
        }
        optimiser.step(new Map(trained.map((name) => [name, results[gradientOf(name)]!])), learningRate);
        return result as Record<Statistic | 'loss' | 'gradientNorm', number>;
      } finally {
        for (const tensor of Object.values(results)) tensor.dispose();
      }
    },
    optimiserState() {
      const named = (moment: 'first' | 'second'): Weights =>
        new Map(
          [...readStacks(weights.trained, (name) => optimiser.moments.get(name)![moment])].map(([name, weight]) => [
            `${moment}.${name}`,
            weight,
          ]),
        );
      return { moments: new Map([...named('first'), ...named('second')]), steps: optimiser.steps };
    },
    load({ moments, steps }) {
      for (const stack of weights.trained) {
        for (const moment of ['first', 'second'] as const) {
          const parts = new Map(
            stack.parts.map(({ name, shape }) => {
              const found = moments.get(`${moment}.${name}`);
              if (found?.data.length !== shape.reduce((a, b) => a * b, 1)) {
                throw new InputError(`The optimiser state lacks ${moment}.${name}: it belongs to another model.`);
              }
              return [name, found];
            }),
          );
          optimiser.moments.get(stack.name)![moment].assign(stacked(stack, parts));
        }
      }
      optimiser.steps = steps;
    },
  };
  return {
    trainer,
    dispose() {
      training?.fn.dispose();
      optimiser.dispose();
    },
  };
}

function trainingFunction<Input extends string>(
  { config, weights }: GraphModelState,
  loss: Loss<Input, string>,
): TrainingFunction {
  const graph = new Graph();
  const model = modelGraph(graph, config, weightInputs(graph, weights.stacks));
  let withLast = false;
  const atLast = <T>(outputs: T): T => {
    withLast = true;
    return outputs;
  };
  const outputs = {
    logProbs: () => model.logProbs(),
    values: () => model.values(),
    rewards: () => atLast(model.rewards()),
    preferences: () => atLast(model.preferences()),
  };
  const inputs = Object.fromEntries(
    Object.entries<'response token' | 'sequence'>(loss.inputs).map(([name, kind]) => [
      name,
      graph.input(lossInput(name), 'float32', [kind === 'sequence' ? 'sequences' : 'states']),
    ]),
  ) as Record<Input, GraphTensor>;
  const computed: Readonly<Record<string, GraphTensor>> = loss.compute(graphArithmetic, outputs, inputs);
  const names = weights.trained.map(({ name }) => name);
  const found = gradients(
    computed['loss']!,
    names.map((name) => graph.inputs.get(name)!),
  );
  const trained = names.filter((_, index) => found[index] !== undefined);
  const { clipped, norm } = clipByGlobalNorm(
    found.filter((gradient) => gradient !== undefined),
    graph.input('maxGradientNorm', 'float32', []),
  );
  const reported = { ...computed, gradientNorm: norm };
  const gradientOutputs = Object.fromEntries(trained.map((name, index) => [gradientOf(name), clipped[index]!]));
  return {
    fn: compile<string>(graph, { ...reported, ...gradientOutputs }),
    reported: Object.keys(reported),
    trained,
    withLast,
  };
}

function gradientOf(name: string): string {
  return `gradient of ${name}`;
}

function lossInput(name: string): string {
  return `loss input ${name}`;
}
