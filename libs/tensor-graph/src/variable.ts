import { NativeTensor, nativeBinding } from './native.js';

let created = 0;

/**
 * A float32 tensor that is changed in place: by assignment, and by optimisers. It lives outside of graphs, so that any
 * number of them can take it as an input, without a copy.
 */
export class Variable {
  readonly #handle: number;
  #disposed = false;

  /** @param shape its product is the number of elements */
  constructor(
    elements: Float32Array,
    readonly shape: readonly number[],
  ) {
    const binding = nativeBinding();
    const attribute = (name: string, type: number, value: unknown) => ({ name, type, value });
    this.#handle = binding.executeOp(
      'VarHandleOp',
      [
        attribute('dtype', binding.TF_ATTR_TYPE, 1),
        attribute('shape', binding.TF_ATTR_SHAPE, shape),
        attribute('shared_name', binding.TF_ATTR_STRING, `tensor-graph-${created++}`),
        attribute('container', binding.TF_ATTR_STRING, ''),
      ],
      [],
      1,
    )[0]!.id;
    this.assign(elements);
  }

  /** The handle that operations on variables take. */
  get handle(): number {
    if (this.#disposed) throw new Error('the variable has been disposed of');
    return this.#handle;
  }

  /**
   * The tensor that the variable holds now, sharing its memory. Dispose of it before the variable is changed: else the
   * change is made to a copy.
   */
  value(): NativeTensor {
    const binding = nativeBinding();
    const [output] = binding.executeOp(
      'ReadVariableOp',
      [{ name: 'dtype', type: binding.TF_ATTR_TYPE, value: 1 }],
      [this.handle],
      1,
    );
    return new NativeTensor(output!.id, 'float32', this.shape);
  }

  /** A copy of its elements. */
  read(): Float32Array {
    return this.value().take() as Float32Array;
  }

  /** Replaces its elements. */
  assign(elements: Float32Array): void {
    const binding = nativeBinding();
    const tensor = NativeTensor.of(elements, this.shape);
    try {
      binding.executeOp(
        'AssignVariableOp',
        [{ name: 'dtype', type: binding.TF_ATTR_TYPE, value: 1 }],
        [this.handle, tensor.id],
        0,
      );
    } finally {
      tensor.dispose();
    }
  }

  /** Frees its memory. */
  dispose(): void {
    if (this.#disposed) return;
    const binding = nativeBinding();
    binding.executeOp('DestroyResourceOp', [], [this.#handle], 0);
    binding.deleteTensor(this.#handle);
    this.#disposed = true;
  }
}
