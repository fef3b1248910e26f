import { InputError } from '@infalign/core';
import type { ByteSource } from '@infalign/checkpoint';
import { blockTypes } from './gguf-blocks.js';

/** A value of a GGUF file's metadata. */
export type GgufValue = number | boolean | string | readonly (number | boolean | string)[];

/** A GGUF file: its metadata, and its tensors as they are asked for. */
export interface GgufFile {
  readonly metadata: ReadonlyMap<string, GgufValue>;
  /** Shapes of the tensors by name, row-major. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The numbers of a tensor, row-major, as 32-bit floats. @throws InputError naming the tensor if it cannot be read */
  tensor(name: string): Float32Array;
}

interface Tensor {
  readonly shape: readonly number[];
  readonly type: number;
  /** First byte, counted from the start of the data. */
  readonly offset: number;
}

/** Bytes read at once while the header is parsed. */
const windowBytes = 2 ** 20;
const maxDimensions = 4;
const defaultAlignment = 32;

/**
 * Opens a GGUF file of version 2 or 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md): magic, version, counts,
 * metadata, descriptions of tensors, then their data. Of the data only the tensor that is asked for is read.
 *
 * @param fileName for messages
 * @throws InputError naming the file and what is wrong with it: truncated, malformed, or of another version
 */
export function parseGguf(source: ByteSource, fileName: string): GgufFile {
  const refuse = (problem: string): InputError =>
    new InputError(`${fileName}: ${problem}. The file is damaged or is no GGUF file: restore it from its source.`);
  const header = reader(source, refuse);

  if (header.bytes(4, 'its magic').toString('latin1') !== 'GGUF') throw refuse('does not begin with GGUF');
  const version = header.uint32('its version');
  if (version !== 2 && version !== 3) throw refuse(`is of version ${version}; versions 2 and 3 are read`);
  const tensorCount = header.size('the number of tensors');
  const entryCount = header.size('the number of metadata entries');
  const metadata = new Map<string, GgufValue>();
  for (let index = 0; index < entryCount; index++) {
    const key = header.text(`the key of metadata entry ${index}`);
    metadata.set(key, readValue(header, key, refuse));
  }
  const tensors = new Map<string, Tensor>();
  for (let index = 0; index < tensorCount; index++) {
    const name = header.text(`the name of tensor ${index}`);
    if (tensors.has(name)) throw refuse(`has two tensors ${name}`);
    const what = `the description of ${name}`;
    const dimensions = header.uint32(what);
    if (dimensions > maxDimensions) throw refuse(`says that ${name} has ${dimensions} dimensions`);
    // The dimension whose numbers lie side by side comes first.
    const shape = Array.from({ length: dimensions }, () => header.size(what)).reverse();
    if (!Number.isSafeInteger(product(shape))) throw refuse(`says that ${name} has shape [${shape.join(', ')}]`);
    tensors.set(name, { shape, type: header.uint32(what), offset: header.size(what) });
  }
  const alignment = metadata.get('general.alignment') ?? defaultAlignment;
  if (!(Number.isSafeInteger(alignment) && Number(alignment) > 0)) {
    throw refuse(`has ${JSON.stringify(alignment)} as general.alignment`);
  }
  const dataStart = Math.ceil(header.position() / Number(alignment)) * Number(alignment);

  return {
    metadata,
    shapes: new Map([...tensors].map(([name, { shape }]) => [name, shape])),
    tensor(name) {
      const tensor = tensors.get(name);
      if (!tensor) throw refuse(`has no tensor ${name}`);
      const { shape, type, offset } = tensor;
      const blocks = blockTypes.get(type);
      if (!blocks) {
        const known = Array.from(blockTypes, ([number, { name }]) => `${name} (${number})`).join(', ');
        throw new InputError(
          `${fileName}: ${name} is of type ${type}, but only ${known} are read. Take a file quantised as one of these.`,
        );
      }
      if ((shape.at(-1) ?? 1) % blocks.numbers !== 0) {
        throw refuse(
          `has ${name} of type ${blocks.name} in rows of ${shape.at(-1)}, no multiple of the ${blocks.numbers} of a block`,
        );
      }
      const start = dataStart + offset;
      const end = start + (product(shape) / blocks.numbers) * blocks.bytes;
      if (end > source.size) throw refuse(`ends after ${source.size} bytes, but ${name} reaches to ${end}`);
      const target = new Float32Array(product(shape));
      blocks.decode(source.read(start, end), target);
      return target;
    },
  };
}

/** Reads a header from its start on; `what` is being read, for messages. */
interface HeaderReader {
  bytes(count: number, what: string): Buffer;
  uint32(what: string): number;
  /** A 64-bit count, length or offset. */
  size(what: string): number;
  text(what: string): string;
  position(): number;
  /** Bytes that are left. */
  left(): number;
}

function reader(source: ByteSource, refuse: (problem: string) => InputError): HeaderReader {
  let position = 0;
  let window: Buffer = Buffer.alloc(0);
  let windowStart = 0;
  const bytes = (count: number, what: string): Buffer => {
    const end = position + count;
    if (end > source.size) throw refuse(`ends after ${source.size} bytes, within ${what}`);
    if (end > windowStart + window.length) {
      windowStart = position;
      window = source.read(position, Math.min(source.size, position + Math.max(count, windowBytes)));
    }
    const found = window.subarray(position - windowStart, end - windowStart);
    position = end;
    return found;
  };
  const size = (what: string): number => {
    const value = bytes(8, what).readBigUInt64LE();
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw refuse(`says ${value} for ${what}`);
    return Number(value);
  };
  return {
    bytes,
    uint32: (what) => bytes(4, what).readUInt32LE(),
    size,
    text: (what) => bytes(size(what), what).toString(),
    position: () => position,
    left: () => source.size - position,
  };
}

type Scalar = number | boolean | string;

/** Types of metadata by their numbers, and their bytes; of a text, those of its length. */
const valueTypes: ReadonlyMap<number, { readonly bytes: number; read(from: HeaderReader, what: string): Scalar }> =
  new Map([
    [0, { bytes: 1, read: (from, what) => from.bytes(1, what).readUInt8() }],
    [1, { bytes: 1, read: (from, what) => from.bytes(1, what).readInt8() }],
    [2, { bytes: 2, read: (from, what) => from.bytes(2, what).readUInt16LE() }],
    [3, { bytes: 2, read: (from, what) => from.bytes(2, what).readInt16LE() }],
    [4, { bytes: 4, read: (from, what) => from.bytes(4, what).readUInt32LE() }],
    [5, { bytes: 4, read: (from, what) => from.bytes(4, what).readInt32LE() }],
    [6, { bytes: 4, read: (from, what) => from.bytes(4, what).readFloatLE() }],
    [7, { bytes: 1, read: (from, what) => from.bytes(1, what).readUInt8() !== 0 }],
    [8, { bytes: 8, read: (from, what) => from.text(what) }],
    [10, { bytes: 8, read: (from, what) => Number(from.bytes(8, what).readBigUInt64LE()) }],
    [11, { bytes: 8, read: (from, what) => Number(from.bytes(8, what).readBigInt64LE()) }],
    [12, { bytes: 8, read: (from, what) => from.bytes(8, what).readDoubleLE() }],
  ]);
const arrayType = 9;

function readValue(header: HeaderReader, key: string, refuse: (problem: string) => InputError): GgufValue {
  const what = `the value of ${key}`;
  const type = header.uint32(what);
  const itemType = type === arrayType ? header.uint32(what) : type;
  const item = valueTypes.get(itemType);
  if (!item) throw refuse(`has ${key} of the unknown type ${itemType}`);
  if (type !== arrayType) return item.read(header, what);
  const count = header.size(what);
  if (count > header.left() / item.bytes)
    throw refuse(`says that ${key} has ${count} items, more than the file can hold`);
  return Array.from({ length: count }, () => item.read(header, what));
}

function product(shape: readonly number[]): number {
  return shape.reduce((a, b) => a * b, 1);
}
