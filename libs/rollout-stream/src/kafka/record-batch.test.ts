import { gzipSync } from 'node:zlib';
import { seededRandom } from '@infalign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { crc32c } from './crc32c.js';
import { decodeBatches, encodeBatch, type RecordContent } from './record-batch.js';

const origin = { producerId: '7', producerEpoch: 2, sequence: 5 };

/** A batch as a broker would send it, at an offset. */
function batchAt(baseOffset: number, records: readonly RecordContent[], producerId = '7'): Buffer {
  const batch = encodeBatch(records, { ...origin, producerId });
  batch.writeBigInt64BE(BigInt(baseOffset), 0);
  return batch;
}

/** A batch in which a transaction ends. */
function markerAt(offset: number, producerId: string): Buffer {
  const batch = batchAt(offset, [{ key: '', value: Buffer.alloc(6) }], producerId);
  batch.writeInt16BE(batch.readInt16BE(21) | 0x20, 21);
  return signed(batch);
}

function signed(batch: Buffer): Buffer {
  batch.writeUInt32BE(crc32c(batch, 21), 17);
  return batch;
}

const record = (key: string, value?: string): RecordContent => ({
  key,
  value: value === undefined ? undefined : Buffer.from(value),
});

describe('CRC-32C', () => {
  it('of known texts is known', () => {
    expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa);
    expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43);
    expect(crc32c(Buffer.from('xx123456789yy'), 2, 11)).toBe(0xe3069283);
    expect(crc32c(Buffer.alloc(0))).toBe(0);
  });
});

describe('a record batch', () => {
  it('gives back the records it was made of', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            key: fc.string(),
            value: fc.option(fc.uint8Array({ maxLength: 300 }), { nil: undefined }),
            trace: fc.option(fc.stringMatching(/^[0-9a-f-]{1,200}$/), { nil: undefined }),
          }),
          {
            minLength: 1,
            maxLength: 200,
          },
        ),
        fc.nat(2 ** 40),
        (records, offset) => {
          const decoded = decodeBatches(batchAt(offset, records), []);
          expect(decoded.next).toBe(offset + records.length);
          expect(decoded.records.map((one) => one.offset)).toEqual(records.map((_, index) => offset + index));
          expect(decoded.records.map(({ key }) => String(key))).toEqual(
            records.map(({ key }) => String(Buffer.from(key))),
          );
          expect(decoded.records.map(({ value }) => value && [...value])).toEqual(
            records.map(({ value }) => value && [...value]),
          );
          expect(decoded.records.map(({ trace }) => trace)).toEqual(records.map(({ trace }) => trace));
        },
      ),
      { numRuns: 200, seed: 1 },
    );
  });

  it('is refused when a bit of it has changed', () => {
    const batch = batchAt(3, [record('a', 'some text'), record('b', 'more of it')]);
    for (let bit = 16 * 8; bit < batch.length * 8; bit++) {
      const changed = Buffer.from(batch);
      changed[bit >> 3] = changed[bit >> 3]! ^ (1 << (bit & 7));
      expect(() => decodeBatches(changed, [])).toThrow(/offset 3 (is damaged|has format)/);
    }
  });

  it('is left out when it was cut off, which is where the next fetch begins', () => {
    const whole = batchAt(0, [record('a', '1'), record('b', '2')]);
    const next = batchAt(2, [record('c', '3')]);
    for (let length = 0; length < next.length; length++) {
      const decoded = decodeBatches(Buffer.concat([whole, next.subarray(0, length)]), []);
      expect(decoded.next).toBe(2);
      expect(decoded.records).toHaveLength(2);
    }
    expect(decodeBatches(whole.subarray(0, 20), [])).toEqual({ records: [], next: undefined });
  });

  it('ends after its last offset, though compaction has taken its last records, or all', () => {
    const batch = batchAt(10, [record('a', '1')]);
    batch.writeInt32BE(6, 23);
    expect(decodeBatches(signed(batch), [])).toMatchObject({ records: [{ offset: 10 }], next: 17 });
    const empty = Buffer.from(batch.subarray(0, 61));
    empty.writeInt32BE(61 - 12, 8);
    empty.writeInt32BE(0, 57);
    expect(decodeBatches(signed(empty), [])).toEqual({ records: [], next: 17 });
  });

  it('is compressed where that makes it smaller', () => {
    const codec = (value: Buffer): number => batchAt(0, [{ key: '', value }]).readInt16BE(21) & 7;
    const random = seededRandom('noise', 1);
    const noise = Buffer.from(Array.from({ length: 50_000 }, () => random.integer(256)));
    const words = Buffer.alloc(50_000, 'rollouts of a prompt, ');
    expect(codec(words)).toBe(3);
    expect(codec(noise)).toBe(0);
    expect(codec(words.subarray(0, 500))).toBe(3);
    expect(codec(noise.subarray(0, 500))).toBe(0);
    expect(batchAt(0, [{ key: '', value: words }]).length).toBeLessThan(2000);
    for (const value of [words, noise]) {
      expect(decodeBatches(batchAt(0, [{ key: '', value }]), []).records[0]!.value!.equals(value)).toBe(true);
    }
  });

  it('may be compressed with gzip or not at all; in another way it is refused', () => {
    const batch = batchAt(0, [record('a', '1'), record('b')]);
    const plain = Buffer.from([16, 0, 0, 0, 2, 97, 2, 49, 0, 14, 0, 0, 2, 2, 98, 1, 0]);
    for (const [codec, body] of [
      [0, plain],
      [1, gzipSync(plain)],
    ] as const) {
      const other = Buffer.concat([batch.subarray(0, 61), body]);
      other.writeInt16BE(codec, 21);
      other.writeInt32BE(other.length - 12, 8);
      const { records } = decodeBatches(signed(other), []);
      expect(records.map(({ key, value }) => [String(key), value && String(value)])).toEqual([
        ['a', '1'],
        ['b', undefined],
      ]);
    }
    batch.writeInt16BE(4, 21);
    expect(() => decodeBatches(signed(batch), [])).toThrow('codec 4; only gzip and LZ4 are known');
  });

  it('of an aborted transaction counts for nothing, and those of others and of later ones do', () => {
    const bytes = Buffer.concat([
      batchAt(0, [record('a', '0')], '1'),
      batchAt(1, [record('a', '1')], '2'),
      batchAt(2, [record('a', '2'), record('a', '3')], '1'),
      markerAt(4, '1'),
      batchAt(5, [record('a', '5')], '1'),
      markerAt(6, '2'),
      batchAt(7, [record('a', '7')], '2'),
      markerAt(8, '1'),
      markerAt(9, '2'),
    ]);
    const aborted = [
      { producerId: 2n, firstOffset: 7 },
      { producerId: 1n, firstOffset: 0 },
    ];
    const decoded = decodeBatches(bytes, aborted);
    expect(decoded.records.map(({ offset }) => offset)).toEqual([1, 5]);
    expect(decoded.next).toBe(10);
    expect(decodeBatches(bytes, []).records.map(({ offset }) => offset)).toEqual([0, 1, 2, 3, 5, 7]);
  });
});
