import type { Graph, GraphTensor } from '@infalign/tensor-graph';
import { headSize, type LanguageModelConfig, type Weights } from '../definition.js';
import type { WeightInput } from './transformer.js';

/** A weight as the graphs hold it: one or several of the model's, whose outputs stand one after the other. */
export interface StackedWeight {
  readonly name: string;
  /** Of a linear layer, [input, output]; otherwise as the model has it. */
  readonly shape: readonly number[];
  readonly parts: readonly { readonly name: string; readonly shape: readonly number[] }[];
  /** Of queries and keys, the size of a head. */
  readonly headSize?: number;
}

/**
 * How the weights of a model are held. Queries and keys of a layer are projected, and rotated, together: their weights stand side by
 * side. Linear layers are held as [input, output]: with few tokens, as in decoding, the library multiplies that as it lies, where it
 * puts [output, input] into another order for every product. Outputs of queries and keys that are rotated together, which are half a head
 * apart in Hugging Face's convention, stand side by side, as real and imaginary part of complex numbers.
 */
export function stackedWeights(config: LanguageModelConfig, weights: Weights): StackedWeight[] {
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
    return {
      name,
      shape: inputsFirst(name) ? heldShape(name, shape[1]!, outputsOf(parts)) : shape,
      parts,
      ...(isRotated(name) ? { headSize: headSize(config) } : {}),
    };
  });
}

/** The shape of a linear layer as it is held: features of the MLP are padded. */
function heldShape(name: string, inputs: number, outputs: number): readonly number[] {
  if (/\.mlp\.(gate|up)_proj(\.lora_B)?\.weight$/.test(name)) return [inputs, padded(outputs)];
  if (/\.mlp\.down_proj(\.lora_A)?\.weight$/.test(name)) return [padded(inputs), outputs];
  return [inputs, outputs];
}

/**
 * How many features of the MLP are held of so many: where rows of a weight would lie a multiple of 2 KiB apart, which a product reads down
 * its columns, and lines of few sets of the processor's cache hold them, there are some more, 64 bytes of each row. Their weights are zeros,
 * and so are their values and their gradients: they stay zeros in training.
 */
function padded(features: number): number {
  return features % 512 === 0 ? features + 16 : features;
}

/** Whether outputs of a weight are queries and keys. */
function isRotated(stack: string): boolean {
  return /\.(qk_proj|q_proj\.lora_B|k_proj\.lora_B)\.weight$/.test(stack);
}

/** Whether a weight is held as [input, output]. Those of output projections are embeddings too, or like them. */
function inputsFirst(name: string): boolean {
  return /_proj\.weight$|\.lora_[AB]\.weight$/.test(name) && name !== 'lm_head.lora_B.weight';
}

/** The elements of a stack. */
export function stacked(stack: StackedWeight, weights: Weights): Float32Array {
  if (!inputsFirst(stack.name)) return weights.get(stack.parts[0]!.name)!.data;
  const elements = new Float32Array(stack.shape[0]! * stack.shape[1]!);
  for (const { name, outputs, inputs, inModel, inStack } of outputRuns(stack)) {
    const { data } = weights.get(name)!;
    transpose({ elements: data, ...inModel }, [outputs, inputs], { elements, ...inStack });
  }
  return elements;
}

/** The weights in a stack, by their names. */
export function unstacked(stack: StackedWeight, elements: Float32Array): Weights {
  if (!inputsFirst(stack.name)) return new Map(stack.parts.map(({ name, shape }) => [name, { shape, data: elements }]));
  const weights: Weights = new Map(
    stack.parts.map(({ name, shape }) => [name, { shape, data: new Float32Array(shape[0]! * shape[1]!) }]),
  );
  for (const { name, outputs, inputs, inModel, inStack } of outputRuns(stack)) {
    const { data } = weights.get(name)!;
    transpose({ elements, ...inStack }, [inputs, outputs], { elements: data, ...inModel });
  }
  return weights;
}

/** Outputs of a weight that follow one another, as rows in the model and as columns in a stack. */
interface OutputRun {
  readonly name: string;
  readonly outputs: number;
  readonly inputs: number;
  readonly inModel: Steps;
  readonly inStack: Steps;
}

/** The outputs of a stack in runs: halves of heads, where queries and keys are rotated in pairs, and else all of a weight. */
function outputRuns({ shape, parts, headSize: width }: StackedWeight): OutputRun[] {
  const step = width === undefined ? 1 : 2;
  let first = 0;
  return parts.flatMap(({ name, shape: [own, inputs] }) => {
    const outputs = (width ?? own!) / step;
    const runs = Array.from({ length: own! / outputs }, (_, run) => ({
      name,
      outputs,
      inputs: inputs!,
      inModel: { start: run * outputs * inputs!, rowStep: inputs!, columnStep: 1 },
      // Runs that go together stand in each other's gaps.
      inStack: {
        start: first + Math.floor(run / step) * outputs * step + (run % step),
        rowStep: shape[1]!,
        columnStep: step,
      },
    }));
    first += own!;
    return runs;
  });
}

/** Where a matrix starts in an array, and how far its rows and its columns are apart. */
interface Steps {
  readonly start: number;
  readonly rowStep: number;
  readonly columnStep: number;
}

interface MatrixPlace extends Steps {
  readonly elements: Float32Array;
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
        const start = from.start + row * from.rowStep;
        for (
          let column = left, place = to.start + left * to.rowStep + row * to.columnStep;
          column < right;
          column++, place += to.rowStep
        ) {
          target[place] = source[start + column * from.columnStep]!;
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
