import { describe, expect, it } from 'vitest';
import type { Sequence } from '../language-model.js';
import { trainingPasses } from './training-passes.js';

const sequence = (prompt: number, length: number): Sequence => ({
  promptTokens: [prompt],
  responseTokens: new Array<number>(length).fill(1),
});
/** Here every response token takes a byte. */
const bytes = (members: readonly Sequence[]): number =>
  members.reduce((sum, { responseTokens }) => sum + responseTokens.length, 0);

const options = { paired: false, lanes: 1, bytes };

describe('training passes', () => {
  const sequences = [3, 5, 2, 9, 4, 4, 1, 6].map((length, index) => sequence(index % 3, length));

  it('are one where all fits', () => {
    const [pass, ...others] = trainingPasses(sequences, { ...options, mostBytes: 34 });
    expect(others).toEqual([]);
    expect(pass!.recompute).toBe(false);
    expect(pass!.members.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it.each([33, 20, 9, 8, 5, 1])(
    'have every sequence once and stay within %i bytes, but for one that alone has more',
    (most) => {
      const passes = trainingPasses(sequences, { ...options, mostBytes: most });
      expect(passes.length).toBeGreaterThan(1);
      expect(passes.flatMap(({ members }) => members).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      for (const { members, recompute } of passes) {
        const taken = bytes(members.map((member) => sequences[member]!));
        expect(recompute).toBe(taken > most);
        expect(taken <= most || members.length === 1).toBe(true);
      }
    },
  );

  it.each([2, 3, 8, 11])(
    'are as many as there are %i lanes, as far as there are sequences, and of like size',
    (lanes) => {
      const passes = trainingPasses(sequences, { ...options, lanes, mostBytes: lanes * 34 });
      expect(passes.flatMap(({ members }) => members).toSorted()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      expect(passes.length).toBeGreaterThan(Math.min(lanes, 8) / 2);
      expect(passes.length).toBeLessThanOrEqual(lanes);
      // With its prompt, the longest sequence has 10 tokens; all have 42.
      for (const { members } of passes) {
        expect(bytes(members.map((member) => sequences[member]!)) + members.length).toBeLessThanOrEqual(
          42 / lanes + 10,
        );
      }
    },
  );

  it('share the bytes where they are computed at the same time', () => {
    for (const { members, recompute } of trainingPasses(sequences, { ...options, lanes: 2, mostBytes: 16 })) {
      expect(recompute).toBe(bytes(members.map((member) => sequences[member]!)) > 8);
    }
  });

  it('keep responses to one prompt together', () => {
    const prompts = trainingPasses(sequences, { ...options, mostBytes: 17 }).map(({ members }) =>
      members.map((member) => member % 3),
    );
    expect(prompts.flat()).toEqual([0, 0, 0, 1, 1, 1, 2, 2]);
  });

  it('keep preference pairs together, the chosen ones first', () => {
    for (const { members } of trainingPasses(sequences, { ...options, paired: true, mostBytes: 12 })) {
      const half = members.length / 2;
      expect(members.slice(half)).toEqual(members.slice(0, half).map((chosen) => chosen + 4));
    }
    expect(() => trainingPasses(sequences.slice(1), { ...options, paired: true, mostBytes: 12 })).toThrow(
      '7 sequences are no preference pairs',
    );
  });
});
