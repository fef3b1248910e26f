import { Variable } from '@infalign/tensor-graph';
import { checkShapes, checkWeights, isTrained, type LanguageModelConfig, type Weights } from '../definition.js';
import { stacked, stackedWeights, unstacked, type StackedWeight } from './layout.js';

/** The weights of a model in the native library: inputs of its graphs, and what its trainers change. */
export interface GraphWeights {
  readonly stacks: readonly StackedWeight[];
  /** Those that are trained; the others never change. */
  readonly trained: readonly StackedWeight[];
  /** By the names of the stacks. */
  readonly variables: ReadonlyMap<string, Variable>;
  /** The trained weights. */
  read(): Weights;
  /** Replaces the trained weights. @throws InputError if one is missing or of another shape */
  load(weights: Weights): void;
  dispose(): void;
}

/** @throws InputError if the weights do not belong to the configuration */
export function createGraphWeights(config: LanguageModelConfig, weights: Weights): GraphWeights {
  checkWeights(config, weights);
  const stacks = stackedWeights(config, weights);
  const trained = stacks.filter(({ parts }) => isTrained(config, parts[0]!.name));
  const variables = variablesOf(stacks, weights);
  const shapes = trained.flatMap(({ parts }) => parts.map(({ name, shape }) => [name, shape] as const));
  return {
    stacks,
    trained,
    variables,
    read: () => readStacks(trained, (name) => variables.get(name)!),
    load(next) {
      checkShapes(shapes, next);
      for (const stack of trained) variables.get(stack.name)!.assign(stacked(stack, next));
    },
    dispose() {
      for (const variable of variables.values()) variable.dispose();
    },
  };
}

/** Apart, so that the functions that stay do not hold the arrays. */
function variablesOf(stacks: readonly StackedWeight[], weights: Weights): ReadonlyMap<string, Variable> {
  return new Map(stacks.map((stack) => [stack.name, new Variable(stacked(stack, weights), stack.shape)]));
}

/** What is kept of every stack, as arrays by the names of the weights. */
export function readStacks(stacks: readonly StackedWeight[], of: (name: string) => Variable): Weights {
  return new Map(stacks.flatMap((stack) => [...unstacked(stack, of(stack.name).read())]));
}
