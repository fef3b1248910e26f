import type { Graph, GraphTensor } from '@infalign/tensor-graph';
import type { Weights } from '../definition.js';
import type { WeightInput } from './transformer.js';

/** A weight as the graphs hold it: one or several of the model's, whose outputs stand one after the other. */
export interface StackedWeight {
  readonly name: string;
  /** Of a linear layer, [input, output]; otherwise as the model has it. */
  readonly shape: readonly number[];
  readonly parts: readonly { readonly name: string; readonly shape: readonly number[] }[];
}

/**
 * How the weights of a model are held. Queries and keys of a layer are projected, and rotated, together: their weights stand side by
 * side. Linear layers are held as [input, output]: with few tokens, as in decoding, the library multiplies that as it lies, where it
 * puts [output, input] into another order for every product.
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
    // Queries before keys, in whatever order the weights come.
    parts.sort((a, b) => Number(a.name.includes('.k_proj.')) - Number(b.name.includes('.k_proj.')));
    const { shape } = parts[0]!;
    return { name, shape: inputsFirst(name) ? [shape[1]!, outputsOf(parts)] : shape, parts };
  });
}

/** Whether a weight is held as [input, output]. Those of output projections are embeddings too, or like them. */
function inputsFirst(name: string): boolean {
  return /_proj\.weight$|\.lora_[AB]\.weight$/.test(name) && name !== 'lm_head.lora_B.weight';
}

/** The elements of a stack. */
export function stacked({ name, shape, parts }: StackedWeight, weights: Weights): Float32Array {
  if (!inputsFirst(name)) return weights.get(parts[0]!.name)!.data;
  const [inputs, outputs] = shape as readonly [number, number];
  const elements = new Float32Array(inputs * outputs);
  let start = 0;
  for (const part of parts) {
    const { data } = weights.get(part.name)!;
    const own = part.shape[0]!;
    transpose({ elements: data, start: 0, stride: inputs }, [own, inputs], { elements, start, stride: outputs });
    start += own;
  }
  return elements;
}

/** The weights in a stack, by their names. */
export function unstacked(stack: StackedWeight, elements: Float32Array): Weights {
  if (!inputsFirst(stack.name)) return new Map(stack.parts.map(({ name, shape }) => [name, { shape, data: elements }]));
  const [inputs, outputs] = stack.shape as readonly [number, number];
  let start = 0;
  return new Map(
    stack.parts.map(({ name, shape }) => {
      const own = shape[0]!;
      const data = new Float32Array(own * inputs);
      transpose({ elements, start, stride: outputs }, [inputs, own], { elements: data, start: 0, stride: inputs });
      start += own;
      return [name, { shape, data }];
    }),
  );
}

/** A matrix by rows in an array: where it starts, and how far its rows are apart. */
interface MatrixPlace {
  readonly elements: Float32Array;
  readonly start: number;
  readonly stride: number;
}

/** Writes a matrix, whose shape is given, transposed to another place; in squares, because one of the two is gone through across. */
function transpose(from: MatrixPlace, [rows, columns]: readonly [number, number], to: MatrixPlace): void {
  const side = 32;
  const [source, target] = [from.elements, to.elements];
  for (let top = 0; top < rows; top += side) {
    const bottom = Math.min(top + side, rows);
    for (let left = 0; left < columns; left += side) {
      const right = Math.min(left + side, columns);
      for (let row = top; row < bottom; row++) {
        const start = from.start + row * from.stride;
        for (
          let column = left, place = to.start + left * to.stride + row;
          column < right;
          column++, place += to.stride
        ) {
          target[place] = source[start + column]!;
        }
      }
    }
  }
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

function outputsOf(parts: readonly { readonly shape: readonly number[] }[]): number {
  return parts.reduce((outputs, { shape }) => outputs + shape[0]!, 0);
}
