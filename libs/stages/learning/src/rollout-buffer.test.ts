import { CalibrationSource, Purpose, type CalibratedRollout } from '@infalign/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createRolloutBuffer, type RolloutBuffer } from './rollout-buffer.js';

/** A record of which the buffer reads the id alone. */
function rollout(rolloutId: string): CalibratedRollout {
  return {
    scored: {
      rollout: {
        rolloutId,
        runId: 'run',
        promptId: 'prompt',
        purpose: Purpose.PURPOSE_TRAINING,
        policyVersion: 0,
        sampleIndex: 0,
        seed: 1,
        promptTokens: [1],
        responseTokens: [1],
        logProbs: [-1],
        ended: false,
        temperature: 1,
        batchId: 'batch',
        batchRollouts: 1,
      },
      reward: { model: 'reward-model', modelVersion: 'v', reward: 0 },
      judge: undefined,
    },
    calibratedReward: 0.5,
    transformedReward: 0,
    transformation: 'identity',
    calibrationVersion: 1,
    references: 1,
    source: CalibrationSource.CALIBRATION_SOURCE_PROMPT,
  };
}

const idOf = (one: CalibratedRollout) => one.scored!.rollout!.rolloutId;
/** The rollouts of an iteration: two. */
const pairOf = (iteration: number) => [`${iteration}a`, `${iteration}b`];
const start = (partitions: number) => {
  const zeros = Array<number>(partitions).fill(0);
  return { from: zeros, counted: zeros };
};

describe('the buffer of a learner', () => {
  it('is complete when all rollouts of the next iteration are there, and gives them in the order they were asked for', () => {
    const buffer = createRolloutBuffer(start(2), 1, 1, pairOf);
    buffer.add({ partition: 1, offset: 0 }, rollout('1b'));
    expect(buffer.isComplete()).toBe(false);
    buffer.add({ partition: 0, offset: 0 }, rollout('1a'));
    expect(buffer.isComplete()).toBe(true);
    expect(buffer.take().map(idOf)).toEqual(['1a', '1b']);
    expect(buffer.isComplete()).toBe(false);
  });

  it('knows the traces of the rollouts of the next iteration, each once', () => {
    const buffer = createRolloutBuffer(start(1), 1, 2, pairOf);
    buffer.add({ partition: 0, offset: 0 }, rollout('1b'), 'one');
    buffer.add({ partition: 0, offset: 1 }, rollout('1a'), 'one');
    buffer.add({ partition: 0, offset: 2 }, rollout('2a'), 'two');
    buffer.add({ partition: 0, offset: 3 }, rollout('2b'));
    expect(buffer.traces()).toEqual(['one']);
    buffer.take();
    expect(buffer.traces()).toEqual(['two']);
  });

  it('keeps what is ahead of the next iteration, as far as it was asked for', () => {
    const buffer = createRolloutBuffer(start(1), 1, 2, pairOf);
    ['2a', '3a', '2b', '1b', '1a'].forEach((id, offset) => buffer.add({ partition: 0, offset }, rollout(id)));
    expect(buffer.takeDropped()).toBe(1);
    expect(buffer.take().map(idOf)).toEqual(['1a', '1b']);
    expect(buffer.positions()).toEqual({ from: [0], counted: [5] });
    expect(buffer.take().map(idOf)).toEqual(['2a', '2b']);
    expect(buffer.positions()).toEqual({ from: [5], counted: [5] });
  });

  it('drops what was learned from, and what is there already, and counts it once', () => {
    const buffer = createRolloutBuffer(start(1), 2, 1, pairOf);
    ['1a', '2a', '2a', '2b'].forEach((id, offset) => buffer.add({ partition: 0, offset }, rollout(id)));
    buffer.add({ partition: 0, offset: 4 }, undefined);
    expect(buffer.takeDropped()).toBe(2);
    expect(buffer.takeDropped()).toBe(0);
    expect(buffer.take().map(idOf)).toEqual(['2a', '2b']);
  });

  it('loses nothing and counts nothing twice, in whatever order rollouts come and wherever it is begun anew', () => {
    fc.assert(
      fc.property(
        fc.record({
          partitions: fc.integer({ min: 1, max: 3 }),
          dispatched: fc.integer({ min: 1, max: 3 }),
          size: fc.integer({ min: 1, max: 3 }),
          choices: fc.array(fc.record({ what: fc.nat(19), which: fc.nat(1000), restart: fc.boolean() }), {
            maxLength: 60,
          }),
        }),
        (plan) => {
          const { taken, expected, dropped, repeated } = learnAll(plan);
          expect(taken).toEqual(expected);
          expect(dropped).toBe(repeated);
        },
      ),
      { numRuns: 300, seed: 1 },
    );
  });
});

interface Plan {
  readonly partitions: number;
  /** Iterations asked for at a time. */
  readonly dispatched: number;
  /** Rollouts of an iteration. */
  readonly size: number;
  /** What happens one after another; then the rest comes in order. */
  readonly choices: readonly { readonly what: number; readonly which: number; readonly restart: boolean }[];
}

/** Learns six iterations from a log that grows while it is read, checking positions on the way. */
function learnAll({ partitions, dispatched, size, choices }: Plan) {
  const iterations = 6;
  const idsOf = (iteration: number) =>
    iteration > iterations ? [] : Array.from({ length: size }, (_, index) => `${iteration}/${index}`);
  const partitionOf = (id: string) => [...id].reduce((sum, char) => sum + char.charCodeAt(0), 0) % partitions;
  const log = Array.from({ length: partitions }, (): (string | undefined)[] => []);
  const read = Array<number>(partitions).fill(0);
  const outstanding = Array.from({ length: dispatched }, (_, index) => idsOf(index + 1)).flat();
  const came: string[] = [];
  const taken: string[] = [];
  let learned = 0;
  let repeated = 0;
  let dropped = 0;
  let buffer: RolloutBuffer = createRolloutBuffer(start(partitions), 1, dispatched, idsOf);

  function append(id: string): void {
    log[partitionOf(id)]!.push(id);
    came.push(id);
  }

  function readOn(partition: number, count: number): void {
    for (let index = 0; index < count && read[partition]! < log[partition]!.length && !buffer.isComplete(); index++) {
      const offset = read[partition]!++;
      const id = log[partition]![offset];
      buffer.add({ partition, offset }, id === undefined ? undefined : rollout(id));
    }
  }

  function learn(restart: boolean): void {
    if (learned === iterations || !buffer.isComplete()) return;
    taken.push(...buffer.take().map(idOf));
    learned++;
    outstanding.push(...idsOf(learned + dispatched));
    dropped += buffer.takeDropped();
    const { from, counted } = buffer.positions();
    for (const [partition, ids] of log.entries()) {
      expect(from[partition]).toBeLessThanOrEqual(read[partition]!);
      expect(counted[partition]).toBeGreaterThanOrEqual(from[partition]!);
      for (const id of ids.slice(0, read[partition])) {
        if (id === undefined || taken.includes(id)) continue;
        expect(ids.slice(from[partition])).toContain(id);
      }
    }
    if (!restart) return;
    buffer = createRolloutBuffer({ from, counted }, learned + 1, dispatched, idsOf);
    read.splice(0, partitions, ...from);
  }

  for (const { what, which, restart } of choices) {
    if (what < 9 && outstanding.length > 0) append(outstanding.splice(which % outstanding.length, 1)[0]!);
    else if (what < 11 && came.length > 0) {
      append(came[which % came.length]!);
      repeated++;
    } else if (what < 12) log[which % partitions]!.push(undefined);
    else readOn(which % partitions, 1 + (what % 4));
    learn(restart);
  }
  for (let round = 0; learned < iterations; round++) {
    expect(round, 'rounds in which all rollouts that were asked for came').toBeLessThan(2 * iterations);
    for (const id of outstanding.splice(0)) append(id);
    for (let partition = 0; partition < partitions; partition++) readOn(partition, Infinity);
    learn(learned % 2 === 0);
  }
  for (let partition = 0; partition < partitions; partition++) {
    for (; read[partition]! < log[partition]!.length; read[partition]!++) {
      const id = log[partition]![read[partition]!];
      buffer.add({ partition, offset: read[partition]! }, id === undefined ? undefined : rollout(id));
    }
  }
  const expected = Array.from({ length: iterations }, (_, index) => idsOf(index + 1)).flat();
  return { taken, expected, dropped: dropped + buffer.takeDropped(), repeated };
}
