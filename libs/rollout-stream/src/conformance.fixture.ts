import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { numberTopic } from './records.fixture.js';
import type { RolloutStream } from './rollout-stream.js';
import { runToQuiescence } from './run-to-quiescence.js';
import type { Stage } from './stage.js';
import { isFrom, isPoison, outgoing, partitionOf, type ConsumedRecord, type Topic } from './topic.js';
import { deadLetterTopic } from './topics.js';

/** Opens and reopens the stream that one test runs on. */
export interface StreamUnderTest {
  stream: RolloutStream;
  /** Closes the stream, and opens what it left behind. */
  reopen(): Promise<RolloutStream>;
  /** Closes the stream and removes what it left behind. */
  remove(): Promise<void>;
}

const input = numberTopic('numbers');
const output = numberTopic('squares');
const spread = numberTopic('spread', 3);
const latest = numberTopic('latest', 2, true);

/** What every implementation of a rollout stream must do. */
export function describeRolloutStream(name: string, create: () => Promise<StreamUnderTest>): void {
  describe(name, () => {
    let tested: StreamUnderTest;
    let stream: RolloutStream;
    beforeEach(async () => {
      tested = await create();
      ({ stream } = tested);
    });
    afterEach(() => tested.remove());

    const squaring = (overrides: Partial<Stage> = {}): Stage => ({
      name: 'squaring',
      inputs: [input],
      maxBatchRecords: 10,
      process: (batch) =>
        Promise.resolve({
          outputs: values(batch).map((value) => outgoing(output, value * value)),
          consumed: batch.length,
        }),
      ...overrides,
    });

    it('gives back what was appended, in order, to every group', async () => {
      await stream.append(numbers(0, 5).map((value) => outgoing(input, value)));
      await stream.append([outgoing(input, 5)]);
      for (const group of ['one', 'two']) {
        const batch = await stream.read(group, [input], 100);
        expect(batch.map(({ offset }) => offset)).toEqual(numbers(0, 6));
        expect(values(batch)).toEqual(numbers(0, 6));
      }
    });

    it('has nothing in a topic that was never written', async () => {
      expect(await stream.read('group', [input], 10)).toEqual([]);
      expect(await stream.endOffsets(spread)).toEqual([0, 0, 0]);
      expect(await all(stream, input)).toEqual([]);
    });

    it('reads the same again until it is committed, and then what follows', async () => {
      await stream.append(numbers(0, 10).map((value) => outgoing(input, value)));
      const batch = await stream.read('group', [input], 4);
      expect(values(await stream.read('group', [input], 4))).toEqual([0, 1, 2, 3]);
      await stream.commit('group', batch.slice(0, 3), []);
      expect(await stream.committed('group', input)).toEqual([3]);
      expect(values(await stream.read('group', [input], 4))).toEqual([3, 4, 5, 6]);
      expect(await stream.committed('other', input)).toEqual([0]);
    });

    it('keeps records and positions when it is reopened', async () => {
      await stream.append(numbers(0, 10).map((value) => outgoing(input, value)));
      await stream.commit('group', await stream.read('group', [input], 4), [outgoing(output, 1)]);
      stream = await tested.reopen();
      expect(await stream.committed('group', input)).toEqual([4]);
      expect(await all(stream, input)).toEqual(numbers(0, 10));
      expect(await all(stream, output)).toEqual([1]);
      await stream.append([outgoing(input, 10)]);
      expect(await stream.endOffsets(input)).toEqual([11]);
    });

    it('commits positions and outputs together or not at all', async () => {
      await stream.append(numbers(0, 4).map((value) => outgoing(input, value)));
      const batch = await stream.read('group', [input], 2);
      await stream.commit('group', batch, [outgoing(output, 1)]);
      await expect(stream.commit('group', batch, [outgoing(output, 2)])).rejects.toThrow(
        'numbers, partition 0, offset 0',
      );
      const next = await stream.read('group', [input], 2);
      await expect(stream.commit('group', next.slice(1), [outgoing(output, 2)])).rejects.toThrow('offset 3');
      expect(await stream.committed('group', input)).toEqual([2]);
      expect(await all(stream, output)).toEqual([1]);
    });

    it('refuses records that are not valid, and then appends none of the transaction', async () => {
      const strict: Topic<number> = {
        ...input,
        codec: {
          ...input.codec,
          encode: () => {
            throw new Error('reward: NaN');
          },
        },
      };
      await expect(stream.append([outgoing(input, 1), outgoing(strict, NaN)])).rejects.toThrow(/numbers.*reward: NaN/);
      expect(await stream.endOffsets(input)).toEqual([0]);
    });

    it('keeps records of one key in one partition, in order', async () => {
      await stream.append(numbers(0, 1000).map((value) => outgoing(spread, value)));
      const ends = await stream.endOffsets(spread);
      expect(ends.reduce((sum, end) => sum + end)).toBe(1000);
      expect(Math.min(...ends)).toBeGreaterThan(100);
      for await (const { partition, value } of stream.readAll(spread))
        expect(partition).toBe(partitionOf(spread, value));
      const batch = values(await stream.read('group', [spread], 1000));
      for (const key of numbers(0, 100)) {
        const ofKey = batch.filter((value) => value % 100 === key);
        expect(ofKey).toEqual(numbers(0, 10).map((index) => index * 100 + key));
      }
    });

    it('reads topics in the order given, and partitions and offsets ascending', async () => {
      await stream.append(numbers(0, 30).map((value) => outgoing(spread, value)));
      await stream.append([outgoing(input, 7)]);
      const places = (await stream.read('group', [spread, input], 100)).map(
        ({ topic, partition, offset }) => [topic === spread ? 0 : 1, partition, offset] as const,
      );
      const sorted = [...places].sort((a, b) => a[0] - b[0] || a[1] - b[1] || a[2] - b[2]);
      expect(places).toEqual(sorted);
      expect(places.at(-1)).toEqual([1, 0, 0]);
    });

    it('reads a topic from an offset on', async () => {
      await stream.append(numbers(0, 10).map((value) => outgoing(input, value)));
      expect(await all(stream, input, 7)).toEqual([7, 8, 9]);
      expect(await all(stream, input, 10)).toEqual([]);
    });

    it('keeps the latest record of each key of a compacted topic', async () => {
      for (const round of numbers(0, 5)) {
        await stream.append(numbers(0, 50).map((key) => outgoing(latest, round * 100 + key)));
      }
      // Twice in one transaction: the later one holds.
      await stream.append([outgoing(latest, 901), outgoing(latest, 1001)]);
      stream = await tested.reopen();
      const table = await stream.table(latest);
      expect(table.size).toBe(50);
      for (const key of numbers(0, 50)) expect(table.get(String(key))).toBe(key === 1 ? 1001 : 400 + key);
      const ends = await stream.endOffsets(latest);
      expect(ends.reduce((sum, end) => sum + end)).toBe(252);
      const batch = await stream.read('group', [latest], 1000);
      expect(values(batch).map((value) => value % 100)).toEqual([
        ...new Set(values(batch).map((value) => value % 100)),
      ]);
      await stream.commit('group', batch, []);
      expect(await stream.read('group', [latest], 1000)).toEqual([]);
      expect(await stream.committed('group', latest)).toEqual(ends);
    });

    it('runs stages until all is done, each record once', async () => {
      await stream.append(numbers(0, 95).map((value) => outgoing(input, value)));
      const sums = numberTopic('sums');
      const summing: Stage = {
        name: 'summing',
        inputs: [output],
        maxBatchRecords: 7,
        process: (batch) =>
          Promise.resolve({
            outputs: [
              outgoing(
                sums,
                values(batch).reduce((sum, value) => sum + value),
              ),
            ],
            consumed: batch.length,
          }),
      };
      const progress: string[] = [];
      const totals = await runToQuiescence(stream, [summing, squaring()], {
        onProgress: ({ stage }) => void progress.push(stage),
      });
      expect(await all(stream, output)).toEqual(numbers(0, 95).map((value) => value * value));
      expect((await all(stream, sums)).reduce((sum, value) => sum + value)).toBe(281295);
      expect(totals).toEqual([
        { stage: 'summing', consumed: 95, produced: 14, deadLetters: 0 },
        { stage: 'squaring', consumed: 95, produced: 95, deadLetters: 0 },
      ]);
      expect(progress).toEqual([...Array<string>(10).fill('squaring'), ...Array<string>(14).fill('summing')]);
    });

    it('shows a stage again what it left, with what follows', async () => {
      await stream.append(numbers(0, 12).map((value) => outgoing(input, value)));
      const seen: number[][] = [];
      const pairs = squaring({
        maxBatchRecords: 5,
        process: (batch) => {
          seen.push(values(batch));
          return Promise.resolve({ outputs: [], consumed: batch.length - (batch.length % 2) });
        },
      });
      await runToQuiescence(stream, [pairs]);
      expect(seen).toEqual([
        [0, 1, 2, 3, 4],
        [4, 5, 6, 7, 8],
        [8, 9, 10, 11],
      ]);
      await stream.append([outgoing(input, 12)]);
      await runToQuiescence(stream, [pairs]);
      expect(await stream.committed('squaring', input)).toEqual([12]);
    });

    it('makes the same batches when a run was cut off and is resumed', async () => {
      const batches = async (): Promise<number[][]> => {
        const seen: number[][] = [];
        const stage = squaring({
          process: (batch) => {
            seen.push(values(batch));
            return Promise.resolve({ outputs: [], consumed: Math.min(batch.length, 3) });
          },
        });
        await runToQuiescence(stream, [stage], {
          onProgress: () => {
            if (seen.length === 4 && interrupted.length === 0) {
              interrupted.push(...seen);
              throw new Error('cut off');
            }
          },
        }).catch((error: Error) => expect(error.message).toBe('cut off'));
        return seen;
      };
      const interrupted: number[][] = [];
      await stream.append(numbers(0, 30).map((value) => outgoing(input, value)));
      const first = await batches();
      stream = await tested.reopen();
      const second = await batches();
      expect([...first, ...second].map(([value]) => value)).toEqual([0, 3, 6, 9, 12, 15, 18, 21, 24, 27]);
    });

    it('commits nothing of a batch whose stage fails', async () => {
      await stream.append([outgoing(input, 1)]);
      const failing = squaring({ process: () => Promise.reject(new Error('no such model')) });
      await expect(runToQuiescence(stream, [failing])).rejects.toThrow('no such model');
      expect(await stream.committed('squaring', input)).toEqual([0]);
    });

    it('refuses outputs of a stage that consumed nothing, because it would make them for ever', async () => {
      await stream.append([outgoing(input, 1)]);
      const looping = squaring({ process: () => Promise.resolve({ outputs: [outgoing(output, 1)], consumed: 0 }) });
      await expect(runToQuiescence(stream, [looping])).rejects.toThrow('consumed nothing');
      const greedy = squaring({ process: () => Promise.resolve({ outputs: [], consumed: 2 }) });
      await expect(runToQuiescence(stream, [greedy])).rejects.toThrow('consumed 2 of 1');
    });

    it('stops between two transactions when it is told to', async () => {
      await stream.append(numbers(0, 30).map((value) => outgoing(input, value)));
      const controller = new AbortController();
      const run = runToQuiescence(stream, [squaring()], {
        signal: controller.signal,
        onProgress: () => controller.abort(new Error('told to stop')),
      });
      await expect(run).rejects.toThrow('told to stop');
      expect(await stream.committed('squaring', input)).toEqual([10]);
      expect(await stream.endOffsets(output)).toEqual([10]);
    });

    it('puts undecodable records aside with the reason, counts them, and goes on', async () => {
      await stream.append([0.5, 1, 2, 0.25, 0.125, 3, 0.75].map((value) => outgoing(input, value)));
      const read = await stream.read('squaring', [input], 2);
      expect(read.map(isPoison)).toEqual([true, false, false]);
      const stage = squaring({ maxBatchRecords: 2 });
      const [total] = await runToQuiescence(stream, [stage]);
      expect(total).toEqual({ stage: 'squaring', consumed: 7, produced: 7, deadLetters: 4 });
      expect(await all(stream, output)).toEqual([1, 4, 9]);
      const letters = await all(stream, deadLetterTopic(input));
      expect(letters.map(({ offset }) => offset)).toEqual([0, 3, 4, 6]);
      expect({ ...letters[0], payload: String(letters[0]!.payload) }).toEqual({
        topic: 'numbers',
        partition: 0,
        offset: 0,
        reason: '0.5 is not a whole number',
        payload: '0.5',
      });
      await expect(all(stream, input)).rejects.toThrow('numbers, partition 0, offset 0 is not valid: 0.5');
    });

    it('passes any number of undecodable records in pieces', async () => {
      await stream.append(numbers(0, 100).map(() => outgoing(input, 0.5)));
      await stream.append([outgoing(input, 2)]);
      expect(await stream.read('squaring', [input], 10)).toHaveLength(10);
      await runToQuiescence(stream, [squaring()]);
      expect(await all(stream, output)).toEqual([4]);
      expect(await stream.endOffsets(deadLetterTopic(input))).toEqual([100]);
    });
  });
}

function values(batch: readonly { topic: Topic }[]): number[] {
  return batch.map((record) => {
    const consumed = record as ConsumedRecord;
    for (const topic of [input, output, spread, latest]) if (isFrom(consumed, topic)) return consumed.value;
    throw new Error(`a record of ${record.topic.name}`);
  });
}

async function all<T>(stream: RolloutStream, topic: Topic<T>, fromOffset?: number): Promise<T[]> {
  const found: T[] = [];
  for await (const { value } of stream.readAll(topic, fromOffset)) found.push(value);
  return found;
}

function numbers(from: number, to: number): number[] {
  return Array.from({ length: to - from }, (_, index) => from + index);
}
