import { InputError } from '@infalign/core';
import { Variable } from '@infalign/tensor-graph';
import { checkWeights, type LanguageModelConfig, type Weights } from '../definition.js';
import { stacked, stackedWeights, unstacked, type StackedWeight } from './layout.js';

/** The weights of a model in the native library: inputs of its graphs, and what its trainers change. */
export interface GraphWeights {
  readonly stacks: readonly StackedWeight[];
  /** By the names of the stacks. */
  readonly variables: ReadonlyMap<string, Variable>;
  read(): Weights;
  /** @throws InputError if a weight is missing or of another shape */
  load(weights: Weights): void;
  dispose(): void;
}

/** @throws InputError if the weights do not belong to the configuration */
export function createGraphWeights(config: LanguageModelConfig, weights: Weights): GraphWeights {
  checkWeights(config, weights);
  const stacks = stackedWeights(weights);
  const variables = new Map(stacks.map((stack) => [stack.name, new Variable(stacked(stack, weights), stack.shape)]));
  return {
    stacks,
    variables,
    read: () => readStacks(stacks, (name) => variables.get(name)!),
    load(next) {
      // A sampler loads the policy out of a learner's checkpoint: heads that it does not hold are left aside.
      checkWeights(config, new Map([...next].filter(([name]) => weights.has(name))));
      for (const [name] of weights) {
        if (!next.has(name)) throw new InputError(`The weights lack ${name}: they do not belong to this model.`);
      }
      for (const stack of stacks) variables.get(stack.name)!.assign(stacked(stack, next));
    },
    dispose() {
      for (const variable of variables.values()) variable.dispose();
    },
  };
}

/** What is kept of every stack, as arrays by the names of the weights. */
export function readStacks(stacks: readonly StackedWeight[], of: (name: string) => Variable): Weights {
  return new Map(stacks.flatMap((stack) => [...unstacked(stack, of(stack.name).read())]));
}
