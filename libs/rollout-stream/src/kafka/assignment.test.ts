import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeClaim, decodeShare, encodeClaim, encodeShare, shareOut, type Claim } from './assignment.js';

describe('partitions of a group', () => {
  it('are each in one share, and shares differ by one at most, whatever members say they own', () => {
    const owned = fc.array(fc.nat(12), { maxLength: 12 });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(owned, fc.nat(5)), { minLength: 1, maxLength: 8 }),
        fc.nat(12),
        (claims, partitions) => {
          const members = claims.map(([partitionsOwned, generation], index): Claim => ({
            memberId: `member-${index}`,
            owned: partitionsOwned,
            generation,
          }));
          const shares = [...shareOut(members, partitions).values()];
          expect(shares.flat().sort((a, b) => a - b)).toEqual(Array.from({ length: partitions }, (_, index) => index));
          const sizes = shares.map(({ length }) => length);
          expect(shares).toHaveLength(members.length);
          expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
        },
      ),
      { numRuns: 500, seed: 1 },
    );
  });

  it('stay where they are as far as that goes, when members come and go', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 7 }), fc.integer({ min: 1, max: 7 }), (before, after) => {
        const partitions = 12;
        const member = (index: number): string => `member-${index}`;
        const first = shareOut(
          Array.from({ length: before }, (_, index) => ({ memberId: member(index), owned: [], generation: -1 })),
          partitions,
        );
        const second = shareOut(
          Array.from({ length: after }, (_, index) => ({
            memberId: member(index),
            owned: first.get(member(index)) ?? [],
            generation: 1,
          })),
          partitions,
        );
        const moved = [...second].flatMap(([id, share]) =>
          share.filter((partition) => !(first.get(id) ?? []).includes(partition)),
        );
        // Who is new gets a share, or the share of who has gone is spread; nothing else moves.
        const largest = Math.ceil(partitions / after);
        const gone = Math.max(0, before - after) * Math.ceil(partitions / before);
        const added = Math.max(0, after - before) * largest;
        expect(moved.length).toBeLessThanOrEqual(Math.max(gone, added));
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  it('belong to who had them last, where two say that they have them', () => {
    const shares = shareOut(
      [
        { memberId: 'a', owned: [0, 1], generation: 3 },
        { memberId: 'b', owned: [1, 2], generation: 4 },
        { memberId: 'c', owned: [], generation: -1 },
      ],
      3,
    );
    expect([...shares]).toEqual([
      ['a', [0]],
      ['b', [1]],
      ['c', [2]],
    ]);
  });
});

it('what members and the one who shares out say to each other arrives; of strangers, nothing is taken', () => {
  const claim = { owned: [1, 4], generation: 9 };
  expect(decodeClaim('a', encodeClaim('topic', claim))).toEqual({ memberId: 'a', ...claim });
  expect(decodeClaim('b', Buffer.from('what?'))).toEqual({ memberId: 'b', owned: [], generation: -1 });
  expect(decodeShare('topic', encodeShare('topic', [2, 3]))).toEqual([2, 3]);
  expect(decodeShare('topic', encodeShare('other', [2, 3]))).toEqual([]);
  expect(decodeShare('topic', Buffer.alloc(0))).toEqual([]);
});
