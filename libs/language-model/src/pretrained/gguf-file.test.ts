import { bufferSource } from '@infalign/checkpoint';
import { describe, expect, it } from 'vitest';
import { parseGguf } from './gguf-file.js';
import { float32Bytes, writeGguf, type GgufContent } from './gguf.fixture.js';

const parse = (content: GgufContent) => parseGguf(bufferSource(writeGguf(content)), 'm.gguf');
const data = Float32Array.from({ length: 6 }, (_, index) => index - 2.5);
const matrix = { type: 0, shape: [2, 3], data: float32Bytes(data) };
const empty = { metadata: {}, tensors: {} };

describe('a GGUF file', () => {
  it('gives metadata of every type', () => {
    const { metadata } = parse({
      tensors: {},
      metadata: {
        a: ['uint8', 200],
        b: ['int8', -100],
        c: ['uint16', 60_000],
        d: ['int16', -30_000],
        e: ['uint32', 4_000_000_000],
        f: ['int32', -2_000_000_000],
        g: ['float32', 0.375],
        h: ['bool', true],
        i: ['text', 'Straße 🙂'],
        j: ['uint64', 2 ** 52],
        k: ['int64', -(2 ** 52)],
        l: ['float64', 0.1],
        m: ['text', ['', 'ab']],
        n: ['float32', [0.5, -1]],
        o: ['bool', [false, true]],
        p: ['int32', []],
      },
    });
    expect(Object.fromEntries(metadata)).toEqual({
      a: 200,
      b: -100,
      c: 60_000,
      d: -30_000,
      e: 4_000_000_000,
      f: -2_000_000_000,
      g: 0.375,
      h: true,
      i: 'Straße 🙂',
      j: 2 ** 52,
      k: -(2 ** 52),
      l: 0.1,
      m: ['', 'ab'],
      n: [0.5, -1],
      o: [false, true],
      p: [],
    });
  });

  it.each([2, 3])('of version %i gives its tensors, row-major, at any alignment', (version) => {
    for (const alignment of [undefined, 8, 256]) {
      const file = parse({
        version,
        ...(alignment && { alignment }),
        metadata: alignment ? { 'general.alignment': ['uint32', alignment] } : {},
        tensors: { scalar: { type: 0, shape: [], data: float32Bytes(Float32Array.of(7)) }, matrix },
      });
      expect(Object.fromEntries(file.shapes)).toEqual({ scalar: [], matrix: [2, 3] });
      expect(file.tensor('matrix')).toEqual(data);
      expect(file.tensor('scalar')).toEqual(Float32Array.of(7));
    }
  });

  it('is read a tensor at a time, and its header in few pieces', () => {
    const tokens = Array.from({ length: 20_000 }, (_, token) => `token ${token}`);
    const bytes = writeGguf({ metadata: { tokens: ['text', tokens] }, tensors: { matrix, other: matrix } });
    const read: number[] = [];
    const file = parseGguf(
      {
        size: bytes.length,
        read: (start, end) => {
          read.push(end - start);
          return bytes.subarray(start, end);
        },
      },
      'm.gguf',
    );
    expect(file.metadata.get('tokens')).toEqual(tokens);
    expect(read.length).toBeLessThan(4);
    read.length = 0;
    expect(file.tensor('other')).toEqual(data);
    expect(read).toEqual([24]);
  });

  const refused = (bytes: Buffer) => () => parseGguf(bufferSource(bytes), 'm.gguf').tensor('matrix');
  const written = (change: Partial<GgufContent>) => writeGguf({ ...empty, ...change });
  /** The bytes with a 64-bit number in the place of its first occurrence. */
  const altered = (from: number, to: bigint, bytes = written({ metadata: { numbers: ['int8', [1, 2, 3, 4, 5]] } })) => {
    const wanted = Buffer.alloc(8);
    wanted.writeBigUInt64LE(BigInt(from));
    bytes.writeBigUInt64LE(to, bytes.indexOf(wanted, 24));
    return bytes;
  };
  it.each([
    ['begins otherwise', Buffer.from('GGML\x03\0\0\0'), 'does not begin with GGUF'],
    ['has another version', written({ version: 1 }), 'is of version 1; versions 2 and 3 are read'],
    ['is big-endian', written({ version: 3 << 24 }), 'is of version 50331648'],
    ['says a huge number of items', altered(5, 2n ** 40n), 'says that numbers has 1099511627776 items'],
    ['says a huge length', altered(7, 2n ** 63n), 'says 9223372036854775808 for the key of metadata entry 0'],
    ['says a long key', altered(7, 999n), 'ends after 64 bytes, within the key of metadata entry 0'],
    ['has no such tensor', written({}), 'has no tensor matrix'],
    [
      'has a strange alignment',
      written({ metadata: { 'general.alignment': ['uint32', 0] } }),
      'has 0 as general.alignment',
    ],
    [
      'has five dimensions',
      written({ tensors: { matrix: { ...matrix, shape: [1, 1, 1, 2, 3] } } }),
      'says that matrix has 5 dimensions',
    ],
    [
      'has a tensor too large to count',
      written({ tensors: { matrix: { ...matrix, shape: [2 ** 50, 2 ** 50] } } }),
      'says that matrix has shape [1125899906842624, 1125899906842624]',
    ],
    [
      'has a tensor that reaches beyond its end',
      written({ tensors: { matrix: { ...matrix, shape: [200, 300] } } }),
      'ends after 128 bytes, but matrix reaches to 240096',
    ],
    [
      'has rows that are no whole blocks',
      written({ tensors: { matrix: { ...matrix, type: 3 } } }),
      'has matrix of type Q4_1 in rows of 3, no multiple of the 32 of a block',
    ],
    [
      'has a tensor of another type',
      written({ tensors: { matrix: { ...matrix, type: 13 } } }),
      'matrix is of type 13, but only F32 (0), F16 (1), Q4_0 (2), Q4_1 (3), Q8_0 (8), Q6_K (14), BF16 (30) are read',
    ],
  ])('that %s is refused', (_, bytes, problem) => {
    expect(refused(bytes)).toThrow(`m.gguf: ${problem}`);
  });

  it('with metadata of an unknown type, or an array of arrays, is refused', () => {
    const bytes = written({ metadata: { key: ['uint32', [1]] } });
    // After magic, version, counts (24 bytes), the key (8 + 3): its type, then the type of its items.
    expect(bytes.readUInt32LE(35)).toBe(9);
    const nested = Buffer.from(bytes);
    nested.writeUInt32LE(9, 39);
    expect(refused(nested)).toThrow('m.gguf: has key of the unknown type 9');
    bytes.writeUInt32LE(77, 35);
    expect(refused(bytes)).toThrow('m.gguf: has key of the unknown type 77');
  });

  it('with two tensors of one name is refused', () => {
    const bytes = written({ tensors: { matrix, matriy: matrix } });
    bytes.write('matrix', bytes.indexOf('matriy'));
    expect(refused(bytes)).toThrow('m.gguf: has two tensors matrix');
  });
});
