import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { blockTypes } from './gguf-blocks.js';

/** Half-precision bits of powers of two and of sums of two neighbouring ones: sign, exponent, one bit of fraction. */
function half(value: number): Buffer {
  const exponent = Math.floor(Math.log2(Math.abs(value)));
  const fraction = (Math.abs(value) / 2 ** exponent - 1) * 1024;
  const bits = (value < 0 ? 0x8000 : 0) | ((exponent + 15) << 10) | fraction;
  return Buffer.from([bits & 0xff, bits >> 8]);
}

/** Packs 32 integers of four bits as ggml does: integer i with integer i + 16. */
function nibbles(integers: readonly number[]): Buffer {
  return Buffer.from(integers.slice(0, 16).map((low, index) => Number(`0x${hex(integers[index + 16]!)}${hex(low)}`)));
}
const hex = (integer: number): string => integer.toString(16);

const random = seededRandom('blocks');
const integers = (count: number, below: number): number[] => Array.from({ length: count }, () => random.integer(below));

function decode(type: number, blocks: Buffer): number[] {
  const { numbers, bytes, decode } = blockTypes.get(type)!;
  expect(blocks.length % bytes).toBe(0);
  const target = new Float32Array((blocks.length / bytes) * numbers);
  decode(blocks, target);
  return Array.from(target);
}

describe('GGUF’s block types decode', () => {
  const [first, second] = [integers(32, 16), integers(32, 16)];

  it('Q4_0: d·(q − 8)', () => {
    const blocks = Buffer.concat([half(0.25), nibbles(first), half(-3), nibbles(second)]);
    expect(decode(2, blocks)).toEqual([...first.map((q) => 0.25 * (q - 8)), ...second.map((q) => -3 * (q - 8))]);
  });

  it('Q4_1: d·q + m', () => {
    const blocks = Buffer.concat([half(0.5), half(-1.5), nibbles(first), half(-2), half(8), nibbles(second)]);
    expect(decode(3, blocks)).toEqual([...first.map((q) => 0.5 * q - 1.5), ...second.map((q) => -2 * q + 8)]);
  });

  it('Q8_0: d·q', () => {
    const signed = [...integers(30, 256).map((q) => q - 128), -128, 127];
    const blocks = Buffer.concat([half(0.125), Buffer.from(Int8Array.from(signed).buffer)]);
    expect(decode(8, blocks)).toEqual(signed.map((q) => 0.125 * q));
  });

  it('Q6_K: d·s·(q − 32), a scale s for each 16 numbers', () => {
    const q = integers(256, 64);
    const scales = [...integers(14, 256).map((scale) => scale - 128), -128, 127];
    // Bits by their places: within each half of 128 numbers, low bits of i and i + 64 share a byte, high bits of four
    // numbers that are 32 apart share one.
    const low = Buffer.alloc(128);
    const high = Buffer.alloc(64);
    for (const start of [0, 128]) {
      for (let index = 0; index < 64; index++) {
        low[start / 2 + index] = (q[start + index]! % 16) + 16 * (q[start + index + 64]! % 16);
      }
      for (let index = 0; index < 32; index++) {
        const [a, b, c, d] = [0, 32, 64, 96].map((apart) => Math.floor(q[start + index + apart]! / 16));
        high[start / 4 + index] = a! + 4 * b! + 16 * c! + 64 * d!;
      }
    }
    const block = Buffer.concat([low, high, Buffer.from(Int8Array.from(scales).buffer), half(0.75)]);
    expect(decode(14, block)).toEqual(q.map((one, index) => 0.75 * scales[Math.floor(index / 16)]! * (one - 32)));
  });

  it('F32, F16 and BF16: numbers as they are', () => {
    const values = [0.5, -1.5, 12, -0.375];
    expect(decode(0, Buffer.from(Float32Array.from(values).buffer))).toEqual(values);
    expect(decode(1, Buffer.concat(values.map(half)))).toEqual(values);
    const upper = values.map((value) => Buffer.from(Float32Array.of(value).buffer).subarray(2));
    expect(decode(30, Buffer.concat(upper))).toEqual(values);
  });
});
