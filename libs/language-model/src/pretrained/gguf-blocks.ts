import { decodeFloats, halfToNumber } from '@infalign/checkpoint';

/** How GGUF stores numbers of a type: blocks of equal size, one after another. */
export interface BlockType {
  readonly name: string;
  /** Numbers of a block. */
  readonly numbers: number;
  /** Bytes of a block. */
  readonly bytes: number;
  /** Decodes whole blocks into as many numbers. */
  decode(blocks: Buffer, target: Float32Array): void;
}

/**
 * The types that are read, by their numbers in the file (ggml). In the formulas q are the stored integers, d and m
 * half-precision numbers of the block. Low halves of bytes (nibbles) hold the first half of the numbers, high ones the rest.
 */
export const blockTypes: ReadonlyMap<number, BlockType> = new Map([
  [0, { name: 'F32', numbers: 1, bytes: 4, decode: (blocks, target) => decodeFloats('F32', blocks, target) }],
  [1, { name: 'F16', numbers: 1, bytes: 2, decode: (blocks, target) => decodeFloats('F16', blocks, target) }],
  [2, quantised('Q4_0', 32, 18, decodeQ40)],
  [3, quantised('Q4_1', 32, 20, decodeQ41)],
  [8, quantised('Q8_0', 32, 34, decodeQ80)],
  [14, quantised('Q6_K', 256, 210, decodeQ6K)],
  [30, { name: 'BF16', numbers: 1, bytes: 2, decode: (blocks, target) => decodeFloats('BF16', blocks, target) }],
]);

/** Decodes the block that begins at byte `from` into the numbers that begin at `to`. */
type DecodeBlock = (bytes: Buffer, from: number, target: Float32Array, to: number) => void;

function quantised(name: string, numbers: number, bytes: number, decodeBlock: DecodeBlock): BlockType {
  return {
    name,
    numbers,
    bytes,
    decode(blocks, target) {
      for (let block = 0; block * numbers < target.length; block++) {
        decodeBlock(blocks, block * bytes, target, block * numbers);
      }
    },
  };
}

/** d·(q − 8): d, 16 bytes of nibbles. */
function decodeQ40(bytes: Buffer, from: number, target: Float32Array, to: number): void {
  const d = halfToNumber(bytes.readUInt16LE(from));
  for (let index = 0; index < 16; index++) {
    const pair = bytes[from + 2 + index]!;
    target[to + index] = d * ((pair & 15) - 8);
    target[to + 16 + index] = d * ((pair >> 4) - 8);
  }
}

/** d·q + m: d, m, 16 bytes of nibbles. */
function decodeQ41(bytes: Buffer, from: number, target: Float32Array, to: number): void {
  const d = halfToNumber(bytes.readUInt16LE(from));
  const m = halfToNumber(bytes.readUInt16LE(from + 2));
  for (let index = 0; index < 16; index++) {
    const pair = bytes[from + 4 + index]!;
    target[to + index] = d * (pair & 15) + m;
    target[to + 16 + index] = d * (pair >> 4) + m;
  }
}

/** d·q: d, 32 signed bytes. */
function decodeQ80(bytes: Buffer, from: number, target: Float32Array, to: number): void {
  const d = halfToNumber(bytes.readUInt16LE(from));
  for (let index = 0; index < 32; index++) target[to + index] = d * bytes.readInt8(from + 2 + index);
}

/**
 * d·s·(q − 32): 128 bytes with the low four bits of each q, 64 with the high two, a signed byte s for each 16 numbers, d.
 * Each half of the block takes 64 bytes of low bits, whose low nibbles are for its first 64 numbers and high nibbles for the
 * others, and 32 bytes of high bits, of which each byte serves four numbers that are 32 apart.
 */
function decodeQ6K(bytes: Buffer, from: number, target: Float32Array, to: number): void {
  const d = halfToNumber(bytes.readUInt16LE(from + 208));
  for (let index = 0; index < 256; index++) {
    const half = index >> 7;
    const within = index & 127;
    const low = (bytes[from + 64 * half + (within & 63)]! >> (within & 64 ? 4 : 0)) & 15;
    const high = (bytes[from + 128 + 32 * half + (within & 31)]! >> (2 * (within >> 5))) & 3;
    const scale = bytes.readInt8(from + 192 + (index >> 4));
    target[to + index] = d * scale * ((low | (high << 4)) - 32);
  }
}
