import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import * as tf from '@tensorflow/tfjs-core';
import type { DataType, Elements } from './graph.js';

/** A tensor in the native library's memory, as the library answers. */
export interface NativeOutput {
  readonly id: number;
  readonly shape: number[];
  readonly dtype: number;
}

/** An attribute of an operation that is executed at once. */
export interface NativeAttribute {
  readonly name: string;
  readonly type: number;
  readonly value: unknown;
}

/** What tfjs-node's addon offers of TensorFlow's C API. */
export interface NativeBinding {
  readonly TF_ATTR_TYPE: number;
  readonly TF_ATTR_SHAPE: number;
  readonly TF_ATTR_STRING: number;
  isUsingGpuDevice(): boolean;
  createTensor(shape: readonly number[], dtype: number, elements: Elements): number;
  deleteTensor(id: number): void;
  tensorDataSync(id: number): Elements;
  executeOp(
    operation: string,
    attributes: readonly NativeAttribute[],
    inputs: readonly number[],
    outputs: number,
  ): NativeOutput[];
  loadSavedModel(folder: string, tags: string): number;
  deleteSavedModel(id: number): void;
  runSavedModel(id: number, inputs: readonly number[], inputNames: string, outputNames: string): NativeOutput[];
}

/** What the addon offers where it has been compiled with `native/addon.cc`: functions, which are executed as operations are. */
export interface FunctionBinding extends NativeBinding {
  /** Makes an operation of a graph. @param inputs places in it, `operation:output` */
  addFunction(name: string, graphDef: Uint8Array, inputs: readonly string[], outputs: readonly string[]): void;
  removeFunction(name: string): void;
}

/** Whether an addon has functions. */
export function hasFunctions(binding: NativeBinding): binding is FunctionBinding {
  return 'addFunction' in binding;
}

/**
 * TensorFlow's native library, as tfjs-node has loaded it.
 *
 * @throws Error if the backend in use is another
 */
export function nativeBinding(): NativeBinding {
  const { binding } = tf.backend() as unknown as { readonly binding?: NativeBinding };
  if (typeof binding?.runSavedModel !== 'function') {
    throw new Error(
      `tfjs runs on the backend "${tf.getBackend()}", which has no TensorFlow graphs: import @tensorflow/tfjs-node first`,
    );
  }
  return binding;
}

/** How many operations TensorFlow computes at the same time in this process: on a GPU one, which keeps all of it busy. */
export function concurrency(): number {
  if (nativeBinding().isUsingGpuDevice()) return 1;
  // eslint-disable-next-line no-restricted-properties -- TensorFlow itself reads it here, and tells nobody.
  const threads = Number(process.env.TF_NUM_INTEROP_THREADS);
  return threads >= 1 ? threads : availableParallelism();
}

let hasAvx512: boolean | undefined;

/**
 * Whether products of few rows are to be given to oneDNN, as others are: with AVX-512 it has kernels for them, and so have GPUs'
 * libraries; with less it prepares a kernel for large products, anew for every choice of sizes.
 */
export function hasKernelsForFewRows(): boolean {
  if (nativeBinding().isUsingGpuDevice()) return true;
  // What systems without this file run has no oneDNN: there both are the same.
  const described = '/proc/cpuinfo';
  hasAvx512 ??= !existsSync(described) || readFileSync(described, 'utf8').includes('avx512f');
  return hasAvx512;
}

const numbers: Readonly<Record<DataType, number>> = { float32: 1, int32: 3, complex64: 8, bool: 10 };

/** A tensor in the native library's memory. It is not counted by `tf.memory()`; whoever gets it disposes of it. */
export class NativeTensor {
  #id: number | undefined;

  /** Takes over what the native library has made. */
  constructor(
    id: number,
    readonly dtype: DataType,
    readonly shape: readonly number[],
  ) {
    this.#id = id;
  }

  /**
   * Copies elements into the native library.
   *
   * @param shape its product is the number of elements
   */
  static of(elements: Float32Array | Int32Array, shape: readonly number[]): NativeTensor {
    if (shape.reduce((a, b) => a * b, 1) !== elements.length) {
      throw new Error(`${elements.length} elements do not fill a tensor of shape [${shape.join(', ')}]`);
    }
    const dtype = elements instanceof Float32Array ? 'float32' : 'int32';
    return new NativeTensor(nativeBinding().createTensor(shape, numbers[dtype], elements), dtype, shape);
  }

  /** A float32 tensor of zeros, made in the native library. */
  static zeros(shape: readonly number[]): NativeTensor {
    const sizes = NativeTensor.of(Int32Array.from(shape), [shape.length]);
    const zero = NativeTensor.of(Float32Array.of(0), []);
    try {
      const [output] = nativeBinding().executeOp('Fill', [], [sizes.id, zero.id], 1);
      return new NativeTensor(output!.id, 'float32', shape);
    } finally {
      sizes.dispose();
      zero.dispose();
    }
  }

  /** Its number in the native library. @throws Error once it is disposed of */
  get id(): number {
    if (this.#id === undefined) throw new Error('the tensor has been disposed of');
    return this.#id;
  }

  /** A copy of its elements, row-major. */
  read(): Elements {
    return nativeBinding().tensorDataSync(this.id);
  }

  /** A copy of its elements; disposes of the tensor. */
  take(): Elements {
    try {
      return this.read();
    } finally {
      this.dispose();
    }
  }

  /** The sum of two float32 tensors of one shape, of which the caller disposes too. */
  plus(other: NativeTensor): NativeTensor {
    const [sum] = nativeBinding().executeOp('AddV2', [], [this.id, other.id], 1);
    return new NativeTensor(sum!.id, 'float32', this.shape);
  }

  /** Frees its memory. */
  dispose(): void {
    if (this.#id === undefined) return;
    nativeBinding().deleteTensor(this.#id);
    this.#id = undefined;
  }
}

/** Frees the memory of named tensors. */
export function disposeAll(tensors: Readonly<Record<string, NativeTensor>>): void {
  for (const tensor of Object.values(tensors)) tensor.dispose();
}
