import { InputError } from '@infalign/core';
import {
  clipByGlobalNorm,
  compile,
  createAdam,
  disposeAll,
  Graph,
  gradients,
  NativeTensor,
  type GraphFunction,
  type GraphTensor,
} from '@infalign/tensor-graph';
import type { Weights } from '../definition.js';
import type { AdamSettings, Loss, LossInput, Sequence, Trainer, TrainingOutputs } from '../language-model.js';
import { batchFeeds, batchSizes } from './batch-feeds.js';
import { byKind } from './by-kind.js';
import type { GraphModelState } from './graph-model.js';
import { readStacks } from './graph-weights.js';
import { modelGraph } from './heads.js';
import { stacked, weightInputs, type StackedWeight } from './layout.js';
import { chunksOf } from './lanes.js';
import { partialArithmetic, totalInput, type Totals } from './loss-arithmetic.js';
import { batchShape, betterWhole, sharedBatch } from './shared-batch.js';
import { trainingBytes } from './training-memory.js';
import { trainingPasses } from './training-passes.js';
import type { TransformerOptions } from './transformer.js';

/** What activations that are held at a time for training may take, in bytes. */
export const mostPassBytes = 2 ** 31;

/** A graph that computes the share of a part of a minibatch in a loss, in its statistics and in its gradients. */
interface TrainingFunction {
  readonly fn: GraphFunction<string>;
  /** Outputs that are numbers. */
  readonly reported: readonly string[];
  /** The weights that the loss depends on. */
  readonly trained: readonly string[];
  /** Which of the model's outputs the loss looks at. */
  readonly used: ReadonlySet<keyof TrainingOutputs<never>>;
  /** Whether what parts give adds up to what the whole minibatch gives. */
  readonly addsUp: boolean;
}

/** A graph that scales gradients down to a norm. */
type ClippingFunction = GraphFunction<string>;

/**
 * Trains a model with Adam. Graphs compute the loss and its gradients, one pass of bounded size after another, and clip their sum; one native
 * operation a weight applies it.
 *
 * @param passBytes what activations that are held at a time may take
 */
export function createGraphTrainer<Input extends string, Statistic extends string>(
  state: GraphModelState,
  loss: Loss<Input, Statistic>,
  adam: AdamSettings,
  passBytes: number,
): { readonly trainer: Trainer<Input, Statistic>; readonly dispose: () => void } {
  const { weights, tables, config } = state;
  const optimiser = createAdam(new Map(weights.trained.map(({ name }) => [name, weights.variables.get(name)!])), adam);
  const training = byKind((options: TransformerOptions) => trainingFunction(state, loss, options));
  let clipping: ClippingFunction | undefined;
  const scalar = (value: number): NativeTensor => NativeTensor.of(Float32Array.of(value), []);

  /** Runs passes at the same time. @param fixed inputs that are the same for all */
  const run = (
    options: TransformerOptions,
    passes: readonly {
      readonly sequences: readonly Sequence[];
      readonly inputs: Readonly<Record<string, Float32Array>>;
    }[],
    fixed: Readonly<Record<string, NativeTensor>>,
  ): Record<string, NativeTensor>[] => {
    const { fn, used } = training.of(options);
    const layout = { withLast: usesLast(used), whole: options.whole };
    const batches = passes.map(({ sequences }) => sharedBatch(config, sequences, layout));
    const feeds = passes.map(({ inputs }, pass) => {
      const tensors: Record<string, NativeTensor> = batchFeeds(batches[pass]!);
      for (const [name, values] of Object.entries(inputs)) {
        tensors[lossInput(name)] = NativeTensor.of(values, [values.length]);
      }
      return tensors;
    });
    const same = { ...fixed, ...tables, ...Object.fromEntries(weights.variables) };
    try {
      return fn.runTogether(batches.map((batch, pass) => ({ ...batchSizes(batch), ...feeds[pass], ...same })));
    } finally {
      feeds.forEach(disposeAll);
    }
  };

  const trainer: Trainer<Input, Statistic> = {
    step(sequences, inputs, { learningRate, maxGradientNorm, temperature }) {
      const whole = betterWhole(sequences);
      const { used, addsUp, reported, trained } = training.of({ whole, recompute: false });
      const sizing = {
        whole,
        withLast: usesLast(used),
        withLogits: used.has('logProbs') || used.has('comparedLogProbs'),
      };
      const passes = trainingPasses(sequences, {
        paired: used.has('preferences') || used.has('comparedLogProbs'),
        lanes: addsUp ? state.lanes : 1,
        bytes: (members) => trainingBytes(config, batchShape(members, sizing), { ...sizing, recompute: false }),
        mostBytes: passBytes,
      });
      if (passes.length > 1 && !addsUp) {
        throw new Error(
          `${sequences.length} sequences take ${passes.length} passes, but the loss or a statistic is no sum of means: means of parts do not give it`,
        );
      }
      const totals: Totals = {
        states: sequences.reduce((sum, { responseTokens }) => sum + responseTokens.length, 0),
        sequences: sequences.length,
        pairs: sequences.length / 2,
      };
      const fixed: Record<string, NativeTensor> = { temperature: scalar(temperature) };
      for (const [name, total] of Object.entries<number>({ ...totals })) fixed[totalInput(name)] = scalar(total);
      const numbers = new Map(reported.map((name) => [name, 0]));
      const sums = new Map<string, NativeTensor>();
      try {
        const alike = [false, true].map((recompute) => passes.filter((pass) => pass.recompute === recompute));
        for (const together of alike.flatMap((some) => chunksOf(some, state.lanes))) {
          const parts = together.map(({ members }) => ({
            sequences: members.map((member) => sequences[member]!),
            inputs: partOf(inputs, loss, sequences, members),
          }));
          for (const results of run({ whole, recompute: together[0]!.recompute }, parts, fixed)) {
            for (const name of reported) numbers.set(name, numbers.get(name)! + (results[name]!.take()[0] as number));
            for (const name of trained) addTo(sums, name, results[gradientOf(name)]!);
          }
        }
        clipping ??= clippingFunction(weights.trained.filter(({ name }) => trained.includes(name)));
        const maximum = scalar(maxGradientNorm);
        const clipped = clipping.run({ ...Object.fromEntries(sums), maxGradientNorm: maximum });
        maximum.dispose();
        try {
          const gradientNorm = clipped['norm']!.read()[0]!;
          const result = { ...Object.fromEntries(numbers), gradientNorm };
          if (!Number.isFinite(numbers.get('loss')) || !Number.isFinite(gradientNorm)) {
            throw new InputError(
              `training diverged: loss ${numbers.get('loss')}, gradient norm ${gradientNorm}; lower the learning rate`,
            );
          }
          optimiser.step(new Map(trained.map((name) => [name, clipped[name]!])), learningRate);
          return result as Record<Statistic | 'loss' | 'gradientNorm', number>;
        } finally {
          disposeAll(clipped);
        }
      } finally {
        disposeAll(fixed);
        disposeAll(Object.fromEntries(sums));
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
      for (const { fn } of training.made()) fn.dispose();
      clipping?.dispose();
      optimiser.dispose();
    },
  };
}

/** Whether the last tokens take part. */
function usesLast(used: TrainingFunction['used']): boolean {
  return used.has('rewards') || used.has('preferences');
}

/** Adds to one of several sums; takes over the tensor. */
function addTo(sums: Map<string, NativeTensor>, name: string, gradient: NativeTensor): void {
  const before = sums.get(name);
  if (!before) {
    sums.set(name, gradient);
    return;
  }
  sums.set(name, before.plus(gradient));
  before.dispose();
  gradient.dispose();
}

/** What comes with some sequences of a minibatch. */
function partOf<Input extends string>(
  inputs: Readonly<Record<Input, Float32Array>>,
  loss: Loss<Input, string>,
  sequences: readonly Sequence[],
  members: readonly number[],
): Record<string, Float32Array> {
  let tokens = 0;
  const starts = sequences.map(({ responseTokens }) => (tokens += responseTokens.length) - responseTokens.length);
  return Object.fromEntries(
    Object.entries<Float32Array>(inputs).map(([name, values]) => {
      const kind = loss.inputs[name as Input];
      if (kind === 'sequence') return [name, Float32Array.from(members, (m) => values[m]!)];
      if (kind === 'pair') return [name, Float32Array.from(members.slice(0, members.length / 2), (m) => values[m]!)];
      const parts = members.map((member) => {
        const start = starts[member]!;
        return values.subarray(start, start + sequences[member]!.responseTokens.length);
      });
      const all = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
      parts.reduce((start, part) => (all.set(part, start), start + part.length), 0);
      return [name, all];
    }),
  );
}

function trainingFunction<Input extends string>(
  { config, weights }: GraphModelState,
  loss: Loss<Input, string>,
  options: TransformerOptions,
): TrainingFunction {
  const graph = new Graph();
  const model = modelGraph(graph, config, weightInputs(graph, weights.stacks), options);
  const used = new Set<keyof TrainingOutputs<never>>();
  const noted = <T>(name: keyof TrainingOutputs<never>, output: T): T => {
    used.add(name);
    return output;
  };
  const outputs: TrainingOutputs<GraphTensor> = {
    logProbs: () => noted('logProbs', model.logProbs()),
    values: () => noted('values', model.values()),
    rewards: () => noted('rewards', model.rewards()),
    preferences: () => noted('preferences', model.preferences()),
    comparedLogProbs: () => noted('comparedLogProbs', model.comparedLogProbs()),
  };
  const inputs = Object.fromEntries(
    Object.entries<LossInput>(loss.inputs).map(([name, kind]) => [
      name,
      graph.input(lossInput(name), 'float32', [axisOf[kind]]),
    ]),
  ) as Record<Input, GraphTensor>;
  const math = partialArithmetic(graph);
  const computed: Readonly<Record<string, GraphTensor>> = loss.compute(math, outputs, inputs);
  const names = weights.trained.map(({ name }) => name);
  const found = gradients(
    computed['loss']!,
    names.map((name) => graph.inputs.get(name)!),
  );
  const gradientOutputs = Object.fromEntries(
    names.flatMap((name, index) => (found[index] ? [[gradientOf(name), found[index]]] : [])),
  );
  return {
    fn: compile<string>(graph, { ...computed, ...gradientOutputs }),
    reported: Object.keys(computed),
    trained: names.filter((_, index) => found[index] !== undefined),
    used,
    addsUp: Object.values(computed).every((result) => math.addsUp(result)),
  };
}

/** Clips gradients, which are its inputs and outputs by the names of their weights, by their `norm` to a `maxGradientNorm`. */
function clippingFunction(stacks: readonly StackedWeight[]): ClippingFunction {
  const graph = new Graph();
  const inputs = stacks.map(({ name, shape }) => graph.input(name, 'float32', shape));
  const { clipped, norm } = clipByGlobalNorm(inputs, graph.input('maxGradientNorm', 'float32', []));
  return compile<string>(graph, {
    norm,
    ...Object.fromEntries(stacks.map(({ name }, index) => [name, clipped[index]!])),
  });
}

/** The axis of the graph along which an input of the loss lies. */
const axisOf: Readonly<Record<LossInput, string>> = {
  'response token': 'states',
  sequence: 'sequences',
  pair: 'pairs',
};

function gradientOf(name: string): string {
  return `gradient of ${name}`;
}

function lossInput(name: string): string {
  return `loss input ${name}`;
}
