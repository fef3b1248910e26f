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

describe('training passes', () => {
  const sequences = [3, 5, 2, 9, 4, 4, 1, 6].map((length, index) => sequence(index % 3, length));

  it('are one where all fits', () => {
    const [pass, ...others] = trainingPasses(sequences, false, bytes, 34);
    expect(others).toEqual([]);
    expect(pass!.recompute).toBe(false);
    expect(pass!.members.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
  });

  it.each([33, 20, 9, 8, 5, 1])(
    'have every sequence once and stay within %i bytes, but for one that alone has more',
    (most) => {
      const passes = trainingPasses(sequences, false, bytes, most);
      expect(passes.length).toBeGreaterThan(1);
      expect(passes.flatMap(({ members }) => members).sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
      for (const { members, recompute } of passes) {
        const taken = bytes(members.map((member) => sequences[member]!));
        expect(recompute).toBe(taken > most);
        expect(taken <= most || members.length === 1).toBe(true);
      }
    },
  );

  it('keep responses to one prompt together', () => {
    const prompts = trainingPasses(sequences, false, bytes, 17).map(({ members }) =>
      members.map((member) => member % 3),
    );
    expect(prompts.flat()).toEqual([0, 0, 0, 1, 1, 1, 2, 2]);
  });

  it('keep preference pairs together, the chosen ones first', () => {
    for (const { members } of trainingPasses(sequences, true, bytes, 12)) {
      const half = members.length / 2;
      expect(members.slice(half)).toEqual(members.slice(0, half).map((chosen) => chosen + 4));
    }
    expect(() => trainingPasses(sequences.slice(1), true, bytes, 12)).toThrow('7 sequences are no preference pairs');
  });
});
