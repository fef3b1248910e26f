import { DataType as NativeType, type AttrValue, type NodeDef } from './generated/tensorflow.js';
import { factorsOf, product, shown, ShapeError, type Dimension, type Shape } from './shape.js';

/** The type of a tensor's elements. Complex numbers are met between operations alone, never as inputs or outputs of a graph. */
export type DataType = 'float32' | 'int32' | 'bool' | 'complex64';

/** Elements in the memory of JavaScript. */
export type Elements = Float32Array | Int32Array | Uint8Array;

/** An attribute of an operation. */
export type Attribute = NonNullable<AttrValue['value']>;

/** One operation of a graph. */
export interface Node {
  readonly name: string;
  /** TensorFlow's name of the operation. */
  readonly operation: string;
  readonly inputs: readonly GraphTensor[];
  readonly attributes: Readonly<Record<string, Attribute>>;
  readonly outputs: readonly GraphTensor[];
  /** When it was added: an operation comes after all of its inputs. */
  readonly index: number;
  /** What must have been computed before, though it is no input. */
  readonly before: readonly GraphTensor[];
  /** Where the gradient of its output flows to, if not to its inputs by the rule of its operation. */
  readonly gradient?: CustomGradient | undefined;
}

/** A gradient that was worked out by hand. */
export interface CustomGradient {
  readonly inputs: readonly GraphTensor[];
  readonly backward: (dy: GraphTensor) => readonly (GraphTensor | undefined)[];
}

/** A tensor that a graph computes: what it will be, not what it is. */
export class GraphTensor {
  constructor(
    readonly graph: Graph,
    readonly node: Node,
    /** Which of the operation's outputs. */
    readonly output: number,
    readonly dtype: DataType,
    readonly shape: Shape,
  ) {}

  /** The tensor's name in the GraphDef. */
  get name(): string {
    return this.output === 0 ? this.node.name : `${this.node.name}:${this.output}`;
  }

  toString(): string {
    return `${this.node.name} ${this.dtype}${shown(this.shape)}`;
  }
}

/** What an operation gives. */
export interface OutputType {
  readonly dtype: DataType;
  readonly shape: Shape;
}

/**
 * A graph of TensorFlow operations that is being defined. Operations are functions of its tensors (`add`, `matMul`, …); shapes are
 * checked as they are called. Not known sizes have names: two axes with one name have one size, whatever it will be.
 */
export class Graph {
  readonly nodes: Node[] = [];
  readonly inputs = new Map<string, GraphTensor>();
  readonly #constants = new Map<string, GraphTensor>();
  /** Where the size of a name is found. */
  readonly #named = new Map<string, { readonly tensor: GraphTensor; readonly axis: number }>();
  readonly #sizes = new Map<string, GraphTensor>();

  /**
   * A tensor that is given when the graph runs.
   *
   * @param shape names not met before are defined by this input's axes
   * @throws ShapeError if an axis is a product of names that are not defined
   */
  input(name: string, dtype: DataType, shape: Shape): GraphTensor {
    if (this.inputs.has(name)) throw new Error(`the graph already has an input ${name}`);
    const [tensor] = this.add('Placeholder', [], { dtype: typeAttribute(dtype), shape: shapeAttribute(shape) }, [
      { dtype, shape },
    ]);
    this.inputs.set(name, tensor!);
    this.name(tensor!);
    for (const dimension of shape) {
      if (!this.defines(dimension)) {
        throw new ShapeError(`input ${name} ${shown(shape)}: no input before it has all axes of ${dimension}`);
      }
    }
    return tensor!;
  }

  /** Lets sizes that have no meaning yet be those of a tensor's axes. */
  name(tensor: GraphTensor): void {
    tensor.shape.forEach((dimension, axis) => {
      if (typeof dimension === 'string' && !dimension.includes('·') && !this.defines(dimension)) {
        this.#named.set(dimension, { tensor, axis });
      }
    });
  }

  /**
   * A size that is given as a number when the graph runs, and can be used in shapes by its name from here on.
   *
   * @returns int32 without axes
   */
  sizeInput(name: string): GraphTensor {
    const tensor = this.input(name, 'int32', []);
    this.#sizes.set(name, tensor);
    return tensor;
  }

  /** Whether an input is a size. */
  isSize(input: string): boolean {
    const tensor = this.inputs.get(input);
    return tensor !== undefined && this.#sizes.get(input) === tensor;
  }

  /**
   * A constant. Small ones are kept once.
   *
   * @param shape known sizes; their product is the number of elements
   */
  constant(elements: Elements, shape: readonly number[]): GraphTensor {
    const dtype = elements instanceof Float32Array ? 'float32' : elements instanceof Int32Array ? 'int32' : 'bool';
    if (product(...shape) !== elements.length) {
      throw new ShapeError(`constant: ${elements.length} elements for the shape ${shown(shape)}`);
    }
    const key = elements.length <= 16 ? `${dtype} ${shown(shape)} ${elements.join()}` : undefined;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known) return known;
    const tensorContent = new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength).slice();
    const tensor = { dtype: nativeTypes[dtype], tensorShape: nativeShape(shape), tensorContent };
    const attributes: Record<string, Attribute> = {
      dtype: typeAttribute(dtype),
      value: { $case: 'tensor', value: tensor },
    };
    const [result] = this.add('Const', [], attributes, [{ dtype, shape }]);
    if (key !== undefined) this.#constants.set(key, result!);
    return result!;
  }

  /** A 32-bit float constant without axes. */
  scalar(value: number): GraphTensor {
    return this.constant(Float32Array.of(value), []);
  }

  /** A vector of integer constants. */
  integers(...values: readonly number[]): GraphTensor {
    return this.constant(Int32Array.from(values), [values.length]);
  }

  /**
   * The size of an axis as an integer tensor without axes.
   *
   * @throws ShapeError if no tensor has an axis of that name
   */
  size(dimension: Dimension): GraphTensor {
    const { coefficient, factors } = factorsOf(dimension);
    const integer = (value: number): GraphTensor => this.constant(Int32Array.of(value), []);
    const parts = factors.map((name) => this.#sizeOf(name));
    if (coefficient !== 1 || parts.length === 0) parts.unshift(integer(coefficient));
    return parts.reduce((a, b) => this.#single('Mul', [a, b], { T: typeAttribute('int32') }));
  }

  /** Whether the size of a dimension can be computed: it is a number, or all its names have a meaning. */
  defines(dimension: Dimension): boolean {
    return factorsOf(dimension).factors.every((name) => this.#named.has(name) || this.#sizes.has(name));
  }

  #sizeOf(name: string): GraphTensor {
    const known = this.#sizes.get(name);
    if (known) return known;
    const place = this.#named.get(name);
    if (!place) throw new ShapeError(`no tensor of the graph has an axis ${name}`);
    const { tensor, axis } = place;
    const integers = { T: typeAttribute('int32'), Index: typeAttribute('int32') };
    const [all] = this.add('Shape', [tensor], { T: typeAttribute(tensor.dtype), out_type: typeAttribute('int32') }, [
      { dtype: 'int32', shape: [tensor.shape.length] },
    ]);
    const size = this.#single('StridedSlice', [all!, this.integers(axis), this.integers(axis + 1), this.integers(1)], {
      ...integers,
      shrink_axis_mask: integerAttribute(1),
    });
    this.#sizes.set(name, size);
    return size;
  }

  #single(operation: string, inputs: readonly GraphTensor[], attributes: Record<string, Attribute>): GraphTensor {
    return this.add(operation, inputs, attributes, [{ dtype: 'int32', shape: [] }])[0]!;
  }

  /**
   * Adds an operation. The functions of `operations.ts` do so after checking its operands.
   *
   * @param operation TensorFlow's name of it
   * @throws Error if an operand is of another graph
   */
  add(
    operation: string,
    inputs: readonly GraphTensor[],
    attributes: Readonly<Record<string, Attribute>>,
    outputs: readonly OutputType[],
    { before = [], gradient }: { readonly before?: readonly GraphTensor[]; readonly gradient?: CustomGradient } = {},
  ): GraphTensor[] {
    const index = this.nodes.length;
    const tensors: GraphTensor[] = [];
    const name = `${operation}_${index}`;
    const node: Node = { name, operation, inputs, attributes, outputs: tensors, index, before, gradient };
    for (const input of [...inputs, ...before]) {
      if (input.graph !== this) throw new Error(`${operation}: ${input.toString()} belongs to another graph`);
    }
    outputs.forEach(({ dtype, shape }, output) => tensors.push(new GraphTensor(this, node, output, dtype, shape)));
    this.nodes.push(node);
    return tensors;
  }
}

/** An operation as a GraphDef has it. @param scope what names in the GraphDef begin with */
export function nodeDef({ name, operation, inputs, before, attributes }: Node, scope: string): NodeDef {
  return {
    name: `${scope}${name}`,
    op: operation,
    input: [...inputs.map((input) => `${scope}${input.name}`), ...before.map(({ node }) => `^${scope}${node.name}`)],
    attr: Object.fromEntries(Object.entries(attributes).map(([key, value]) => [key, { value }])),
  };
}

/** TensorFlow's numbers of the types. */
export const nativeTypes: Readonly<Record<DataType, NativeType>> = {
  float32: NativeType.DT_FLOAT,
  int32: NativeType.DT_INT32,
  bool: NativeType.DT_BOOL,
  complex64: NativeType.DT_COMPLEX64,
};

export function typeAttribute(dtype: DataType): Attribute {
  return { $case: 'type', value: nativeTypes[dtype] };
}

export function integerAttribute(value: number): Attribute {
  return { $case: 'i', value };
}

export function booleanAttribute(value: boolean): Attribute {
  return { $case: 'b', value };
}

export function shapeAttribute(shape: Shape): Attribute {
  return { $case: 'shape', value: nativeShape(shape) };
}

function nativeShape(shape: Shape): { dim: { size: number }[] } {
  return { dim: shape.map((dimension) => ({ size: typeof dimension === 'number' ? dimension : -1 })) };
}
