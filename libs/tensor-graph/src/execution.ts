import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { GraphDef, SavedModel } from './generated/tensorflow.js';
import { hasFunctions, nativeBinding, type FunctionBinding, type NativeBinding, type NativeOutput } from './native.js';

/** Some outputs of a graph, and what they need. */
export interface Computation {
  /** How many copies of the graph stand side by side. */
  readonly copies: number;
  /** All operations of the copies, or those alone that the outputs need. */
  readonly definition: (which: 'all' | 'needed') => GraphDef;
  /** Places in it, `operation:output`. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
}

/** Computes the outputs. @param inputs tensors by their numbers in the native library */
export type Run = (inputs: readonly number[]) => NativeOutput[];

/** How the native library is given the computations of a graph. */
export interface Execution {
  prepare(computation: Computation): Run;
  /** Frees the memory of all that was prepared. */
  dispose(): void;
}

/**
 * Functions on a GPU, sessions on the CPU, where these are as fast and every addon has them.
 *
 * @throws Error on a GPU whose addon has no functions
 */
export function createExecution(): Execution {
  const binding = nativeBinding();
  if (!binding.isUsingGpuDevice()) return asSessions(binding);
  if (hasFunctions(binding)) return asFunctions(binding);
  throw new Error(
    'graphs run on a GPU only where the addon of tfjs-node was compiled with native/addon.cc: a session computes with copies of what is changed in place',
  );
}

let created = 0;

/**
 * Every computation is a function of TensorFlow's eager context, which is executed as an operation is: inputs and outputs stay where they
 * are, in a GPU's memory too, and what is changed in place is what was given.
 */
export function asFunctions(binding: FunctionBinding): Execution {
  const names: string[] = [];
  return {
    prepare({ definition, inputs, outputs }) {
      const name = `tensor_graph_${created++}`;
      binding.addFunction(name, GraphDef.encode(definition('needed')).finish(), inputs, outputs);
      names.push(name);
      return (ids) => binding.executeOp(name, [], ids, outputs.length);
    },
    dispose() {
      for (const name of names.splice(0)) binding.removeFunction(name);
    },
  };
}

/**
 * Every number of copies is a SavedModel with a session of its own. Its inputs and outputs are in the memory of the CPU: there they
 * are shared, but to a GPU they would be copied, and what is changed in place would be a copy.
 */
export function asSessions(binding: NativeBinding): Execution {
  /** By the number of copies. */
  const models = new Map<number, number>();
  return {
    prepare({ copies, definition, inputs, outputs }) {
      let model = models.get(copies);
      if (model === undefined) models.set(copies, (model = load(binding, definition('all'))));
      const [inputNames, outputNames] = [inputs.join(), outputs.join()];
      return (ids) => binding.runSavedModel(model, ids, inputNames, outputNames);
    },
    dispose() {
      for (const model of models.values()) binding.deleteSavedModel(model);
      models.clear();
    },
  };
}

function load(binding: NativeBinding, graphDef: GraphDef): number {
  const folder = mkdtempSync(join(tmpdir(), 'tensor-graph-'));
  try {
    const metaGraphs = [{ metaInfoDef: { tags: ['serve'] }, graphDef }];
    const savedModel = SavedModel.encode({ savedModelSchemaVersion: 1, metaGraphs }).finish();
    writeFileSync(join(folder, 'saved_model.pb'), savedModel);
    return binding.loadSavedModel(folder, 'serve');
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
