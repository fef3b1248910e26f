import {
  absolute,
  add,
  clip,
  divide,
  exponential,
  logarithmOfOnePlus,
  maximum,
  multiply,
  negative,
  positive,
  relu,
  square,
  subtract,
  sum,
  type Graph,
  type GraphTensor,
} from '@infalign/tensor-graph';
import type { Arithmetic, Operand } from '@infalign/core';

/** How many there are of what means are taken over, in a whole minibatch. */
export interface Totals {
  /** Response tokens. */
  readonly states: number;
  readonly sequences: number;
  /** Preference pairs. */
  readonly pairs: number;
}

/** The input of a graph that is a total. */
export function totalInput(name: string): string {
  return `all ${name}`;
}

/** Arithmetic on tensors of a graph that computes a part of a minibatch. */
export interface PartialArithmetic extends Arithmetic<GraphTensor> {
  /** Whether a result is a sum over parts of the minibatch: added up over all of them, it is what the whole minibatch gives. */
  addsUp(result: GraphTensor): boolean;
}

/**
 * Arithmetic in which a mean is a part's share of the mean over the whole minibatch: its sum over the number that there are in all, which is
 * an input of the graph. Sums of means, and multiples of them, add up over the parts; their gradients do too. A mean of what is
 * computed from another mean does not.
 */
export function partialArithmetic(graph: Graph): PartialArithmetic {
  const shares = new Set<GraphTensor>();
  const isShare = (operand: Operand<GraphTensor>): boolean => typeof operand !== 'number' && shares.has(operand);
  const share = (result: GraphTensor, is: boolean): GraphTensor => {
    if (is) shares.add(result);
    return result;
  };
  return {
    add: (a, b) => share(add(a, b), isShare(a) && isShare(b)),
    subtract: (a, b) => share(subtract(a, b), isShare(a) && isShare(b)),
    multiply: (a, b) =>
      share(multiply(a, b), (isShare(a) && typeof b === 'number') || (typeof a === 'number' && isShare(b))),
    negative: (x) => share(negative(x), isShare(x)),
    maximum,
    clip,
    absolute,
    relu,
    square,
    exponential,
    logarithmOfOnePlus,
    positive,
    mean(x) {
      const [size] = x.shape;
      if (x.shape.length !== 1 || typeof size !== 'string') {
        throw new Error('means are over response tokens, sequences or pairs');
      }
      const name = totalInput(size);
      const total = graph.inputs.get(name) ?? graph.input(name, 'float32', []);
      return share(divide(sum(x), total), !isComputedFrom(x, shares));
    },
    addsUp: (result) => shares.has(result),
  };
}

function isComputedFrom(x: GraphTensor, others: ReadonlySet<GraphTensor>): boolean {
  const all = new Set([x]);
  // What is added to a set is met too.
  for (const tensor of all) {
    if (others.has(tensor)) return true;
    for (const input of tensor.node.inputs) all.add(input);
  }
  return false;
}
