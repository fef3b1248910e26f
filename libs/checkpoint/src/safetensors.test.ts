import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fc } from './property.fixture.js';
import { describe, expect, it } from 'vitest';
import { fileSource } from './byte-source.js';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';

const arrays = new Map([
  ['b.weight', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ['a.bias', { shape: [], data: Float32Array.of(-0.5) }],
]);

/** A file of arrays of 16 bits a number. */
function layOut(entries: readonly (readonly [name: string, dtype: string, shape: number[], bits: number[]])[]): Buffer {
  let offset = 0;
  const header = JSON.stringify(
    Object.fromEntries(
      entries.map(([name, dtype, shape, bits]) => [
        name,
        { dtype, shape, data_offsets: [offset, (offset += 2 * bits.length)] },
      ]),
    ),
  );
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(header.length));
  const data = entries.flatMap(([, , , bits]) => bits).flatMap((bits) => [bits & 0xff, bits >> 8]);
  return Buffer.concat([length, Buffer.from(header), Buffer.from(data)]);
}

describe('safetensors', () => {
  it('is laid out as the format says: header length, JSON header, data without gaps', () => {
    const bytes = encodeSafetensors(arrays);
    const headerBytes = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<string, unknown>;
    expect(header['a.bias']).toEqual({ dtype: 'F32', shape: [], data_offsets: [0, 4] });
    expect(header['b.weight']).toEqual({ dtype: 'F32', shape: [2, 3], data_offsets: [4, 28] });
    expect(bytes.length).toBe(8 + headerBytes + 28);
    expect(bytes.readFloatLE(8 + headerBytes)).toBe(-0.5);
    expect(headerBytes % 8).toBe(0);
  });

  it('gives back what was encoded, whatever the names, shapes and values', () => {
    const array = fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }).chain((shape) => {
      const length = shape.reduce((a, b) => a * b, 1);
      return fc
        .array(fc.float(), { minLength: length, maxLength: length })
        .map((values) => ({ shape, data: Float32Array.from(values) }));
    });
    fc.assert(
      fc.property(
        fc.dictionary(
          fc.string().filter((name) => name !== '__metadata__' && name !== '__proto__'),
          array,
        ),
        (dictionary) => {
          const original = new Map(Object.entries(dictionary));
          const decoded = decodeSafetensors(encodeSafetensors(original), 'x');
          expect(new Set(decoded.keys())).toEqual(new Set(original.keys()));
          for (const [name, { shape, data }] of original) expect(decoded.get(name)).toEqual({ shape, data });
        },
      ),
    );
  });

  it('reads 16-bit and bfloat16 floats exactly, from a buffer and from a file', () => {
    // Bits of IEEE 754: 1, -2, the smallest and the largest finite number, a subnormal, zeros, infinity, not a number.
    const half = [0x3c00, 0xc000, 0x0001, 0x7bff, 0x03ff, 0x8000, 0x0000, 0x7c00, 0xfc00, 0x7e00];
    const halfValues = [1, -2, 2 ** -24, 65504, 1023 * 2 ** -24, -0, 0, Infinity, -Infinity, NaN];
    const brain = [0x3f80, 0xc000, 0x3e20, 0x7f80, 0x0001];
    const brainValues = [1, -2, 0.15625, Infinity, 2 ** -133];
    const bytes = layOut([
      ['half', 'F16', [2, 5], half],
      ['brain', 'BF16', [5], brain],
    ]);
    const folder = mkdtempSync(join(tmpdir(), 'safetensors-'));
    const path = join(folder, 'm.safetensors');
    writeFileSync(path, bytes);
    const file = fileSource(path);
    try {
      for (const source of [bytes, file]) {
        const decoded = decodeSafetensors(source, 'm');
        expect(decoded.get('half')).toEqual({ shape: [2, 5], data: Float32Array.from(halfValues) });
        expect(decoded.get('brain')).toEqual({ shape: [5], data: Float32Array.from(brainValues) });
      }
    } finally {
      file.close();
      rmSync(folder, { recursive: true });
    }
  });

  it('refuses every truncation of a file, naming the file', () => {
    const bytes = encodeSafetensors(arrays);
    for (let length = 0; length < bytes.length; length++) {
      expect(() => decodeSafetensors(bytes.subarray(0, length), 'model.safetensors')).toThrow(/^model\.safetensors: /);
    }
  });

  it('refuses a header whose offsets and shape disagree, and other data types', () => {
    const altered = (from: string, to: string) =>
      Buffer.from(encodeSafetensors(arrays).toString('latin1').replace(from, to), 'latin1');
    expect(() => decodeSafetensors(altered('[2,3]', '[2,4]'), 'm')).toThrow('needs 32');
    expect(() => decodeSafetensors(altered('"F32"', '"I32"'), 'm')).toThrow(
      'm: a.bias is of type I32; only F32, F16, BF16 are read',
    );
    expect(() => decodeSafetensors(altered('"F32"', '"F16"'), 'm')).toThrow('gives a.bias 4 bytes');
    expect(() => decodeSafetensors(altered('"shape":[2', '"shape":[-'), 'm')).toThrow('not JSON');
  });
});
