import type { Graph, GraphTensor } from '@infalign/tensor-graph';
import type { Weights } from '../definition.js';
import type { WeightInput } from './transformer.js';

/** A weight as the graphs hold it: one or several of the model's, one above the other. */
export interface StackedWeight {
  readonly name: string;
  readonly shape: readonly number[];
  readonly parts: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/**
 * How the weights of a model are held. Queries and keys of a layer are projected, and rotated, together: their weights stand one
 * above the other.
 */
export function stackedWeights(weights: Weights): StackedWeight[] {
  const stacks = new Map<string, { name: string; shape: readonly number[] }[]>();
  for (const [name, { shape }] of weights) {
    const stack = name.replace(/\.(q|k)_proj\.weight$/, '.qk_proj.weight');
    const parts = stacks.get(stack);
    if (parts) parts.push({ name, shape });
    else stacks.set(stack, [{ name, shape }]);
  }
  return [...stacks].map(([name, parts]) => {
    // Queries above keys, in whatever order the weights come.
    parts.sort((a, b) => Number(a.name.includes('.k_proj.')) - Number(b.name.includes('.k_proj.')));
    const [first] = parts;
    const shape = parts.length === 1 ? first!.shape : [rowsOf(parts), ...first!.shape.slice(1)];
    return { name, shape, parts };
  });
}

/** The elements of a stack. */
export function stacked({ shape, parts }: StackedWeight, weights: Weights): Float32Array {
  if (parts.length === 1) return weights.get(parts[0]!.name)!.data;
  const elements = new Float32Array(sizeOf(shape));
  let start = 0;
  for (const { name } of parts) {
    const { data } = weights.get(name)!;
    elements.set(data, start);
    start += data.length;
  }
  return elements;
}

/** The weights in a stack, by their names. */
export function unstacked({ parts }: StackedWeight, elements: Float32Array): Weights {
  let start = 0;
  return new Map(
    parts.map(({ name, shape }) => {
      const data = parts.length === 1 ? elements : elements.slice(start, start + sizeOf(shape));
      start += data.length;
      return [name, { shape, data }];
    }),
  );
}

/** Declares all stacks as inputs of a graph. */
export function weightInputs(graph: Graph, stacks: readonly StackedWeight[]): WeightInput {
  const inputs = new Map<string, GraphTensor>();
  for (const { name, shape } of stacks) inputs.set(name, graph.input(name, 'float32', shape));
  return (name) => {
    const input = inputs.get(name);
    if (!input) throw new Error(`this model has no ${name}`);
    return input;
  };
}

function rowsOf(parts: readonly { readonly shape: readonly number[] }[]): number {
  return parts.reduce((rows, { shape }) => rows + shape[0]!, 0);
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
