import { createExecution, type Execution, type Run } from './execution.js';
import type { GraphDef, NodeDef } from './generated/tensorflow.js';
import { nodeDef, type Graph, type GraphTensor, type Node } from './graph.js';
import { NativeTensor } from './native.js';
import { factorsOf, shown } from './shape.js';
import type { Variable } from './variable.js';

/** What an input is given as: variables as they are when the graph runs, size inputs as numbers. */
export type Feed = NativeTensor | Variable | number;

/** A graph that the native library has loaded. */
export interface GraphFunction<Output extends string> {
  /**
   * Computes outputs, and of the graph no more than they need.
   *
   * @param inputs by their names; those that the outputs do not need may be left out, and are not looked at
   * @param outputs all by default
   * @returns tensors, of which the caller disposes
   * @throws Error naming an input that is missing, of another type, or of a shape that is not the declared one
   */
  run<Wanted extends Output = Output>(
    inputs: Readonly<Record<string, Feed>>,
    outputs?: readonly Wanted[],
  ): Record<Wanted, NativeTensor>;
  /**
   * Computes the same outputs for several choices of inputs at the same time: operations that do not depend on each other share
   * the threads that TensorFlow has for that (`concurrency`), which is worth more than many threads for one small operation.
   * For every number of them, TensorFlow prepares the graph once.
   *
   * @returns for each what `run` returns
   */
  runTogether<Wanted extends Output = Output>(
    inputs: readonly Readonly<Record<string, Feed>>[],
    outputs?: readonly Wanted[],
  ): Record<Wanted, NativeTensor>[];
  /** Frees its memory. */
  dispose(): void;
}

/** How a graph is prepared. */
export interface CompileOptions {
  /**
   * Whether XLA makes machine code of what it knows of the graph, for every choice of sizes when it first comes: seconds each, so for
   * sizes that stay. Results differ in the last bits. It fuses operations, but has products of its own: on CPUs, models like those
   * that are measured here are faster without it. False by default.
   */
  readonly xla?: boolean;
}

/** TensorFlow 2.15 reads graphs of this version. */
const graphVersion = 1482;

/**
 * Loads a graph into the native library. One compiled function serves all sizes: TensorFlow prepares it once for every
 * choice of outputs, when they are first asked for.
 *
 * @param outputs tensors of the graph by the names that they are asked for by
 */
export function compile<Output extends string>(
  graph: Graph,
  outputs: Readonly<Record<Output, GraphTensor>>,
  { xla = false }: CompileOptions = {},
): GraphFunction<Output> {
  const execution = createExecution();
  let disposed = false;
  const names = Object.keys(outputs) as Output[];
  const plans = new Map<string, Plan>();
  const planOf = (wanted: readonly Output[], copies: number): Plan => {
    const key = `${copies} ${wanted.join()}`;
    let plan = plans.get(key);
    if (!plan) {
      const tensors = wanted.map((name) => outputs[name]);
      plans.set(key, (plan = createPlan(graph, tensors, copies, xla, execution)));
    }
    return plan;
  };

  /** @param read gets what was read for this run alone */
  function idsOf(inputs: Readonly<Record<string, Feed>>, plan: Plan, read: NativeTensor[]): number[] {
    const sizes = new Map<string, number>();
    return plan.inputs.map((declared) => {
      const { name } = declared;
      const feed = inputs[name];
      if (feed === undefined) throw new Error(`the input ${name} is missing`);
      if (feed instanceof NativeTensor) {
        checkInput(declared, feed, sizes);
        return feed.id;
      }
      let value: NativeTensor;
      if (typeof feed === 'number') {
        value = sizeTensor(name, graph, feed);
        sizes.set(name, feed);
      } else {
        value = feed.value();
        checkInput(declared, value, sizes);
      }
      read.push(value);
      return value.id;
    });
  }

  function runTogether<Wanted extends Output>(
    inputs: readonly Readonly<Record<string, Feed>>[],
    wanted: readonly Wanted[] = names as Wanted[],
  ): Record<Wanted, NativeTensor>[] {
    if (inputs.length === 0) return [];
    if (disposed) throw new Error('the function has been disposed of');
    const plan = planOf(wanted, inputs.length);
    const read: NativeTensor[] = [];
    try {
      const ids = inputs.flatMap((each) => idsOf(each, plan, read));
      const results = plan.run(ids);
      return inputs.map((_, copy) => {
        const tensors = wanted.map((name, index) => {
          const { id, shape } = results[copy * wanted.length + index]!;
          return [name, new NativeTensor(id, outputs[name].dtype, shape)];
        });
        return Object.fromEntries(tensors) as Record<Wanted, NativeTensor>;
      });
    } finally {
      for (const value of read) value.dispose();
    }
  }

  return {
    run: (inputs, wanted) => runTogether([inputs], wanted)[0]!,
    runTogether,
    dispose() {
      disposed = true;
      execution.dispose();
    },
  };
}

/** One choice of outputs and one number of copies, prepared. */
interface Plan {
  /** Of one copy. */
  readonly inputs: readonly DeclaredInput[];
  readonly run: Run;
}

interface DeclaredInput {
  readonly name: string;
  readonly tensor: GraphTensor;
  /** The dimensions of its shape, taken apart once for all runs. */
  readonly dimensions: readonly ReturnType<typeof factorsOf>[];
}

function createPlan(
  graph: Graph,
  outputs: readonly GraphTensor[],
  copies: number,
  xla: boolean,
  execution: Execution,
): Plan {
  const needed = new Set<Node>();
  const pending = outputs.map((output) => output.node);
  for (let node = pending.pop(); node; node = pending.pop()) {
    if (needed.has(node)) continue;
    needed.add(node);
    pending.push(...[...node.inputs, ...node.before].map((each) => each.node));
  }
  const inputs = [...graph.inputs].filter(([, tensor]) => needed.has(tensor.node));
  const places = (tensors: readonly GraphTensor[]): string[] =>
    Array.from({ length: copies }, (_, copy) =>
      tensors.map(({ node, output }) => `${scope(copy)}${node.name}:${output}`),
    ).flat();
  const run = execution.prepare({
    copies,
    definition: (which) =>
      graphDef(which === 'all' ? graph.nodes : graph.nodes.filter((node) => needed.has(node)), copies, xla),
    inputs: places(inputs.map(([, tensor]) => tensor)),
    outputs: places(outputs),
  });
  const declared = inputs.map(([name, tensor]) => ({ name, tensor, dimensions: tensor.shape.map(factorsOf) }));
  return { inputs: declared, run };
}

function sizeTensor(name: string, graph: Graph, size: number): NativeTensor {
  if (!graph.isSize(name)) throw new Error(`the input ${name} is the number ${size}, but no size: give a tensor`);
  if (!Number.isInteger(size) || size < 0) throw new Error(`the size ${name} is ${size}, but has to be a whole number`);
  return NativeTensor.of(Int32Array.of(size), []);
}

/** @param sizes of the names met so far in this run */
function checkInput(
  { name, tensor: declared, dimensions }: DeclaredInput,
  feed: NativeTensor,
  sizes: Map<string, number>,
): void {
  const { dtype } = feed;
  const fits =
    dtype === declared.dtype &&
    feed.shape.length === dimensions.length &&
    dimensions.every(({ coefficient, factors }, axis) => {
      const size = feed.shape[axis]!;
      const [first] = factors;
      if (first !== undefined && factors.length === 1 && coefficient === 1 && !sizes.has(first)) {
        sizes.set(first, size);
        return true;
      }
      return size === factors.reduce((all, factor) => all * (sizes.get(factor) ?? NaN), coefficient);
    });
  if (!fits) {
    const named = [...sizes].map(([symbol, size]) => `${symbol} = ${size}`).join(', ');
    throw new Error(
      `the input ${name} is ${dtype}${shown(feed.shape)}, but the graph declares ${declared.dtype}${shown(declared.shape)}` +
        (named === '' ? '' : ` (${named})`),
    );
  }
}

/** What the names of a copy's operations begin with. */
function scope(copy: number): string {
  return `${copy}/`;
}

function graphDef(nodes: readonly Node[], copies: number, xla: boolean): GraphDef {
  const node = Array.from({ length: copies }, (_, copy) =>
    nodes.map((each) => {
      const definition = nodeDef(each, scope(copy));
      return xla ? { ...definition, attr: { ...definition.attr, ...xlaAttributes(scope(copy)) } } : definition;
    }),
  ).flat();
  return { node, versions: { producer: graphVersion } };
}

/** Attributes of an operation by which TensorFlow gives it to XLA, with the others of its copy. */
function xlaAttributes(copy: string): NodeDef['attr'] {
  return {
    _XlaCompile: { value: { $case: 'b', value: true } },
    _XlaScope: { value: { $case: 's', value: new TextEncoder().encode(copy) } },
  };
}
