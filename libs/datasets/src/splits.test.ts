import { InputError } from '@infalign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { promptSetNames, type Prompt } from './dataset.js';
import { divide, drawPromptSets } from './splits.js';

describe('divide', () => {
  it('holds out whole groups, their share, and keeps the order', () => {
    fc.assert(
      fc.property(
        fc.array(fc.nat(30), { minLength: 1, maxLength: 100 }),
        fc.nat(),
        fc.double({ min: 0.01, max: 0.99, noNaN: true }),
        (groups, seed, heldOutShare) => {
          const items = groups.map((group, index) => ({ group: String(group), index }));
          const count = new Set(groups).size;
          fc.pre(count >= 2);
          const { training, heldOut } = divide(items, ({ group }) => group, { seed, heldOutShare });
          const trainingGroups = new Set(training.map(({ group }) => group));
          const heldOutGroups = new Set(heldOut.map(({ group }) => group));
          expect([...trainingGroups].filter((group) => heldOutGroups.has(group))).toEqual([]);
          expect(training.length + heldOut.length).toBe(items.length);
          expect(trainingGroups.size).toBeGreaterThan(0);
          expect(heldOutGroups.size).toBeGreaterThan(0);
          if (trainingGroups.size > 1 && heldOutGroups.size > 1) {
            expect(heldOutGroups.size).toBe(Math.round(count * heldOutShare));
          }
          const indices = (part: readonly { index: number }[]) => part.map(({ index }) => index);
          expect(indices(training)).toEqual(indices(training).toSorted((a, b) => a - b));
        },
      ),
      { seed: 1 },
    );
  });

  it('refuses a dataset of one document', () => {
    const options = { seed: 1, heldOutShare: 0.5 };
    expect(() => divide(['a', 'a'], (text) => text, options)).toThrow(InputError);
  });
});

describe('drawPromptSets', () => {
  /** A candidate is the prompt's tokens; many are equal. */
  const cut = (tokens: readonly number[]): Prompt => ({ id: '', tokens, text: tokens.join(' ') });
  const candidates = fc.array(fc.array(fc.nat(3), { minLength: 1, maxLength: 3 }), { maxLength: 120, size: 'max' });
  const counts = fc.record({
    train: fc.nat(7),
    reward: fc.nat(7),
    judge: fc.nat(7),
    calibration: fc.nat(7),
    evaluation: fc.nat(7),
  });

  it('fills disjoint sets with prompts of their own part, or says which set cannot be filled', () => {
    let filled = 0;
    fc.assert(
      fc.property(candidates, candidates, counts, fc.nat(), (training, heldOut, wanted, seed) => {
        const request = { counts: wanted, seed, tokens: 3 };
        const key = (tokens: readonly number[]) => tokens.join();
        const distinct = (tokens: readonly (readonly number[])[]) => new Set(tokens.map(key));
        let sets;
        try {
          sets = drawPromptSets({ training, heldOut }, cut, request);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          // A held-out prompt is passed over if it was drawn from the training part, so this many may be lacking.
          const forTraining = wanted.train + wanted.reward + wanted.judge;
          const lacksTraining = forTraining > distinct(training).size;
          const lacksHeldOut = wanted.calibration + wanted.evaluation > distinct(heldOut).size - forTraining;
          expect(lacksTraining || lacksHeldOut).toBe(true);
          return;
        }
        filled++;
        const all = promptSetNames.flatMap((name) => sets[name].map(({ tokens }) => key(tokens)));
        expect(new Set(all).size).toBe(all.length);
        for (const name of promptSetNames) {
          expect(sets[name]).toHaveLength(wanted[name]);
          const part = distinct(name === 'calibration' || name === 'evaluation' ? heldOut : training);
          for (const { tokens } of sets[name]) expect(part.has(key(tokens))).toBe(true);
        }
        expect(drawPromptSets({ training, heldOut }, cut, request)).toEqual(sets);
      }),
      { seed: 1, numRuns: 300 },
    );
    expect(filled).toBeGreaterThan(20);
  });

  it('keeps what does not do for one set for the next', () => {
    const training = [[1], [2], [3], [4]];
    const sets = drawPromptSets(
      { training, heldOut: [] },
      (tokens, set) => (set === 'reward' && tokens[0]! % 2 === 0 ? undefined : cut(tokens)),
      { counts: { train: 0, reward: 2, judge: 2, calibration: 0, evaluation: 0 }, seed: 1, tokens: 1 },
    );
    expect(sets.reward.map(({ text }) => text).sort()).toEqual(['1', '3']);
    expect(sets.judge.map(({ text }) => text).sort()).toEqual(['2', '4']);
  });

  it('says how many there are of how many', () => {
    const request = { counts: { train: 1, reward: 3, judge: 0, calibration: 0, evaluation: 0 }, seed: 1, tokens: 5 };
    expect(() => drawPromptSets({ training: [[1], [1], [2], [3]], heldOut: [] }, cut, request)).toThrow(
      '3 reward prompts of 5 tokens are asked for, but after those already drawn the training documents have only 2 more',
    );
  });
});
