import { InputError } from '@infalign/core';
import { bufferSource, type ByteSource } from './byte-source.js';
import { decodeFloats, floatBytes, type FloatType } from './floats.js';

/** A named array of 32-bit floats, row-major. */
export interface NamedArray {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

/** Arrays by name. */
export type NamedArrays = ReadonlyMap<string, NamedArray>;

interface HeaderEntry {
  readonly dtype: string;
  readonly shape: number[];
  readonly data_offsets: [number, number];
}

/** The format allows no larger header. */
const maxHeaderBytes = 100_000_000;

/**
 * Encodes arrays as safetensors (https://github.com/huggingface/safetensors): an 8-byte little-endian header length, a
 * JSON header, then the data, little-endian and without gaps. Names are in order, so equal arrays give equal bytes.
 *
 * @throws Error if an array has another number of elements than its shape says
 */
export function encodeSafetensors(arrays: NamedArrays): Buffer {
  const entries = [...arrays].sort(([a], [b]) => (a < b ? -1 : 1));
  const header: Record<string, HeaderEntry | Record<string, string>> = { __metadata__: { format: 'pt' } };
  let offset = 0;
  for (const [name, { shape, data }] of entries) {
    if (elements(shape) !== data.length) {
      throw new Error(`${name} has ${data.length} elements, but its shape is [${shape.join(', ')}]`);
    }
    header[name] = { dtype: 'F32', shape: [...shape], data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  // Spaces keep the data aligned to 8 bytes, which readers that map the file rely on.
  const text = JSON.stringify(header);
  const json = Buffer.from(text.padEnd(Math.ceil(Buffer.byteLength(text) / 8) * 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...entries.map(([, { data }]) => asBytes(data))]);
}

/**
 * Decodes safetensors of 32-bit, 16-bit and bfloat16 floats into 32-bit floats. Of a source only one array's bytes are
 * held at a time.
 *
 * @param fileName for messages
 * @throws InputError naming the file and what is wrong with it: truncated, malformed, or of another data type
 */
export function decodeSafetensors(file: Buffer | ByteSource, fileName: string): Map<string, NamedArray> {
  const source = Buffer.isBuffer(file) ? bufferSource(file) : file;
  const refuse = (problem: string): InputError =>
    new InputError(
      `${fileName}: ${problem}. The file is damaged or is no safetensors file: restore it from its source.`,
    );
  if (source.size < 8) throw refuse(`has ${source.size} bytes, fewer than a header length takes`);
  const headerBytes = source.read(0, 8).readBigUInt64LE(0);
  if (headerBytes > BigInt(Math.min(maxHeaderBytes, source.size - 8))) {
    throw refuse(`says that its header has ${headerBytes} bytes, more than the file can hold`);
  }
  const dataStart = 8 + Number(headerBytes);
  let header: unknown;
  try {
    header = JSON.parse(source.read(8, dataStart).toString()) as unknown;
  } catch {
    throw refuse('has a header that is not JSON');
  }
  if (typeof header !== 'object' || header === null) throw refuse('has a header that is no object');
  const arrays = new Map<string, NamedArray>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') continue;
    if (!isHeaderEntry(entry)) throw refuse(`has a malformed header entry for ${name}`);
    const { dtype, shape } = entry;
    if (!isFloatType(dtype)) {
      throw new InputError(
        `${fileName}: ${name} is of type ${dtype}; only ${Object.keys(floatBytes).join(', ')} are read. Convert the file to F32.`,
      );
    }
    const [start, end] = entry.data_offsets;
    const bytes = floatBytes[dtype] * elements(shape);
    if (end - start !== bytes) {
      throw refuse(`gives ${name} ${end - start} bytes, but its shape [${shape.join(', ')}] needs ${bytes}`);
    }
    if (dataStart + end > source.size) {
      throw refuse(`ends after ${source.size} bytes, but ${name} reaches to ${dataStart + end}`);
    }
    const data = new Float32Array(elements(shape));
    decodeFloats(dtype, source.read(dataStart + start, dataStart + end), data);
    arrays.set(name, { shape, data });
  }
  return arrays;
}

function isFloatType(dtype: string): dtype is FloatType {
  return Object.hasOwn(floatBytes, dtype);
}

function isHeaderEntry(entry: unknown): entry is HeaderEntry {
  if (typeof entry !== 'object' || entry === null) return false;
  const { dtype, shape, data_offsets: offsets } = entry as Partial<HeaderEntry>;
  const areSizes = (values: unknown): values is number[] =>
    Array.isArray(values) && values.every((value) => Number.isSafeInteger(value) && value >= 0);
  return (
    typeof dtype === 'string' &&
    areSizes(shape) &&
    areSizes(offsets) &&
    offsets.length === 2 &&
    offsets[0] <= offsets[1]
  );
}

function elements(shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, 1);
}

function asBytes(data: Float32Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
