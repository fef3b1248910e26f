import { InputError } from '@infalign/core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { promptSetNames, type Prompt } from './dataset.js';
import { divide, divideAsPublished, drawPromptSets, partOfSplit, type Division, type Part } from './splits.js';

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

describe('partOfSplit', () => {
  it.each([
    ['train', 'training'],
    ['train-00001-of-00002', 'training'],
    ['Test', 'heldOut'],
    ['valid2', 'heldOut'],
    ['validation', 'heldOut'],
    ['pairs', undefined],
    ['latest', undefined],
  ])('takes %s for %s', (name, part) => {
    expect(partOfSplit(name)).toBe(part);
  });
});

describe('divideAsPublished', () => {
  const part = fc.constantFrom<(Part | undefined)[]>('training', 'heldOut', undefined);
  const divided = (items: readonly { group: string; part: Part | undefined }[]) =>
    divideAsPublished(
      items,
      ({ group }) => group,
      (item) => item.part,
    );

  it('holds out what is published so, and trains on nothing of the same group', () => {
    let useful = 0;
    fc.assert(
      fc.property(fc.array(fc.record({ group: fc.constantFrom(...'abcdefgh'), part }), { maxLength: 12 }), (items) => {
        const heldOut = items.filter((item) => item.part === 'heldOut');
        const others = items.filter(({ group }) => !heldOut.some((held) => held.group === group));
        if (heldOut.length === 0 || heldOut.length === items.length) expect(divided(items)).toBeUndefined();
        else if (others.length === 0)
          expect(() => divided(items)).toThrow(/training split is in its validation or test/);
        else {
          useful++;
          expect(divided(items)).toEqual({ training: others, heldOut });
        }
      }),
      { seed: 1, numRuns: 300 },
    );
    expect(useful).toBeGreaterThan(100);
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
    accuracy: fc.nat(7),
  });
  const source = (candidates: Division<readonly number[]>) => ({
    candidates,
    cut: (candidate: readonly number[]) => [cut(candidate)],
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
          sets = drawPromptSets(source({ training, heldOut }), request);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          // A held-out prompt is passed over if it was drawn from the training part, so this many may be lacking.
          const forTraining = wanted.train + wanted.reward + wanted.judge;
          const lacksTraining = forTraining > distinct(training).size;
          const forHeldOut = wanted.calibration + wanted.evaluation + wanted.accuracy;
          const lacksHeldOut = forHeldOut > distinct(heldOut).size - forTraining;
          expect(lacksTraining || lacksHeldOut).toBe(true);
          return;
        }
        filled++;
        const all = promptSetNames.flatMap((name) => sets[name].map(({ tokens }) => key(tokens)));
        expect(new Set(all).size).toBe(all.length);
        for (const name of promptSetNames) {
          expect(sets[name]).toHaveLength(wanted[name]);
          const part = distinct(['calibration', 'evaluation', 'accuracy'].includes(name) ? heldOut : training);
          for (const { tokens } of sets[name]) expect(part.has(key(tokens))).toBe(true);
        }
        expect(drawPromptSets(source({ training, heldOut }), request)).toEqual(sets);
      }),
      { seed: 1, numRuns: 300 },
    );
    expect(filled).toBeGreaterThan(20);
  });

  it('fills sets of pairs from the pairs, and repeats a prompt only where they are learned from, in one set', () => {
    let repeated = 0;
    fc.assert(
      fc.property(candidates, candidates, counts, fc.nat(), (training, heldOut, wanted, seed) => {
        const of = (kind: string, part: string) => (tokens: readonly number[], index: number) => ({
          tokens,
          id: `${kind} ${part} ${index}`,
        });
        const ofKind = (kind: string) => ({
          candidates: { training: training.map(of(kind, 'training')), heldOut: heldOut.map(of(kind, 'heldOut')) },
          cut: (candidate: { readonly tokens: readonly number[]; readonly id: string }) => [{ ...candidate, text: '' }],
        });
        let sets;
        try {
          sets = drawPromptSets(ofKind('prompt'), { counts: wanted, seed, tokens: 3 }, ofKind('pair'));
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
          return;
        }
        const setsOf = new Map<string, string[]>();
        for (const name of promptSetNames) {
          expect(sets[name]).toHaveLength(wanted[name]);
          const part = ['calibration', 'evaluation', 'accuracy'].includes(name) ? 'heldOut' : 'training';
          const kind = ['reward', 'judge', 'accuracy'].includes(name) ? 'pair' : 'prompt';
          for (const { id } of sets[name]) expect(id.startsWith(`${kind} ${part} `)).toBe(true);
          for (const { tokens } of sets[name]) setsOf.set(tokens.join(), [...(setsOf.get(tokens.join()) ?? []), name]);
        }
        const ids = promptSetNames.flatMap((name) => sets[name].map(({ id }) => id));
        expect(new Set(ids).size).toBe(ids.length);
        for (const names of setsOf.values()) {
          expect(new Set(names).size).toBe(1);
          if (names.length > 1) repeated++;
          if (names.length > 1) expect(['reward', 'judge']).toContain(names[0]);
        }
      }),
      { seed: 1, numRuns: 300 },
    );
    expect(repeated).toBeGreaterThan(20);
  });

  it('says how many there are of how many, and how many do not do', () => {
    const none = { train: 0, reward: 0, judge: 0, calibration: 0, evaluation: 0, accuracy: 0 };
    const some = source({ training: [[1], [1], [2], [3]], heldOut: [] });
    expect(() => drawPromptSets(some, { counts: { ...none, train: 1, reward: 3 }, seed: 1, tokens: 5 })).toThrow(
      '3 reward prompts of 5 tokens are asked for, but after those already drawn the training documents have only 2 more ' +
        'that differ: ask for fewer prompts or pairs, or give more data',
    );
    const odd = { candidates: { training: [], heldOut: [[1], [2], [3], [4]] }, cut: oddOnly };
    expect(() => drawPromptSets(some, { counts: { ...none, accuracy: 3 }, seed: 1, tokens: 5 }, odd)).toThrow(
      'the held-out documents have only 2 more that differ (2 others do not give a pair): ' +
        'ask for fewer prompts or pairs, hold out more, or give more data',
    );
  });

  function oddOnly(tokens: readonly number[]): Prompt[] {
    return tokens[0]! % 2 === 0 ? [] : [cut(tokens)];
  }
});
