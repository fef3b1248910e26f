import { fc } from './property.fixture.js';
import { describe, expect, it } from 'vitest';
import { decodeSafetensors, encodeSafetensors } from './safetensors.js';

const arrays = new Map([
  ['b.weight', { shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
  ['a.bias', { shape: [], data: Float32Array.of(-0.5) }],
]);

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
    expect(() => decodeSafetensors(altered('"F32"', '"F16"'), 'm')).toThrow('only F32 is read');
    expect(() => decodeSafetensors(altered('"shape":[2', '"shape":[-'), 'm')).toThrow('not JSON');
  });
});
