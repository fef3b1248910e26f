import type { GraphFunction } from '@infalign/tensor-graph';
import { describe, expect, it } from 'vitest';
import { ran, sideBySide, type Lane } from './lanes.js';

/** A graph that computes nothing, and notes for how many lanes it is run. */
function noting(name: string, runs: [string, number][]): GraphFunction<never> {
  return {
    run: () => ({}),
    runTogether(inputs) {
      runs.push([name, inputs.length]);
      return inputs.map(() => ({}));
    },
    dispose: () => undefined,
  };
}

describe('lanes', () => {
  it('wait with what most runs are of until all want it, whatever else one of them needs before', () => {
    const runs: [string, number][] = [];
    const [step, move] = [noting('step', runs), noting('move', runs)];
    const lane = function* (moves: readonly number[]): Lane<void> {
      for (let index = 0; index < 4; index++) {
        if (moves.includes(index)) yield* ran(move, {}, {});
        yield* ran(step, {}, {}, { waits: true });
      }
    };
    sideBySide([lane([1]), lane([2, 3]), lane([1, 3])]);
    expect(runs).toEqual([
      ['step', 3],
      ['move', 2],
      ['step', 3],
      ['move', 1],
      ['step', 3],
      ['move', 2],
      ['step', 3],
    ]);
  });

  it('go on alone where the others are done', () => {
    const runs: [string, number][] = [];
    const step = noting('step', runs);
    const lane = function* (steps: number): Lane<number> {
      for (let index = 0; index < steps; index++) yield* ran(step, {}, {}, { waits: true });
      return steps;
    };
    expect(sideBySide([lane(1), lane(3)])).toEqual([1, 3]);
    expect(runs).toEqual([
      ['step', 2],
      ['step', 1],
      ['step', 1],
    ]);
  });
});
