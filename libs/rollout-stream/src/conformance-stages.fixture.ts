import { InputError } from '@infalign/core';
import { expect, it } from 'vitest';
import { all, input, numbers, output, readMany, values } from './conformance-topics.fixture.js';
import { oneKey } from './records.fixture.js';
import type { RolloutStream } from './rollout-stream.js';
import { runToQuiescence, type RunOptions } from './run-to-quiescence.js';
import type { PartitionProcessor, Stage } from './stage.js';
import { stageWorker } from './stage-worker.js';
import { isPoison, outgoing, partitionOfKey, type Topic } from './topic.js';
import { deadLetterTopic } from './topics.js';
import type { WorkerProgress } from './worker.js';

/** What stages can rely on, whatever carries their records. */
export function describeStages(stream: () => RolloutStream): void {
  const squaring = (process?: PartitionProcessor<number>['process'], maxBatchRecords = 10): Stage<number> => ({
    name: 'squaring',
    input,
    maxBatchRecords,
    open: () =>
      Promise.resolve({
        process:
          process ??
          ((batch) =>
            Promise.resolve({
              outputs: batch.map(({ value }) => outgoing(output, value * value)),
              consumed: batch.length,
            })),
      }),
  });

  const home = (): number => partitionOfKey(oneKey, stream().partitions);

  /** Runs stages until there is nothing left to do and `enough` agrees. */
  async function run(
    stages: readonly Stage<number>[],
    enough: (totals: readonly WorkerProgress[]) => boolean,
    options?: RunOptions,
  ): Promise<WorkerProgress[]> {
    const workers = await Promise.all(stages.map((stage) => stageWorker(stream(), stage)));
    const totals = stages.map(({ name }) => ({ name, consumed: 0, produced: 0, deadLetters: 0 }));
    try {
      while (!enough(totals)) {
        for (const { name, consumed, produced, deadLetters } of await runToQuiescence(workers, options)) {
          const total = totals.find((one) => one.name === name)!;
          total.consumed += consumed;
          total.produced += produced;
          total.deadLetters += deadLetters;
        }
        if (!enough(totals)) await Promise.race(workers.map((worker) => worker.changed(100)));
      }
    } finally {
      await Promise.all(workers.map((worker) => worker.close()));
    }
    return totals;
  }

  it('runs stages until all is done, each record once', async () => {
    await stream().append(numbers(0, 95).map((value) => outgoing(input, value)));
    const sums: number[] = [];
    const summing: Stage<number> = {
      name: 'summing',
      input: output,
      maxBatchRecords: 7,
      open: () =>
        Promise.resolve({
          process: (batch) => {
            sums.push(values(batch).reduce((sum, value) => sum + value));
            return Promise.resolve({ outputs: [], consumed: batch.length });
          },
        }),
    };
    const totals = await run([summing, squaring()], ([first]) => first!.consumed === 95);
    expect(await all(stream(), output)).toEqual(numbers(0, 95).map((value) => value * value));
    expect(sums.reduce((sum, value) => sum + value)).toBe(281295);
    expect(totals).toEqual([
      { name: 'summing', consumed: 95, produced: 0, deadLetters: 0 },
      { name: 'squaring', consumed: 95, produced: 95, deadLetters: 0 },
    ]);
  });

  it('shows a stage again what it left, with what follows, and more where it waits for more', async () => {
    await stream().append(numbers(0, 12).map((value) => outgoing(input, value)));
    const seen: number[][] = [];
    const dozens = squaring((batch) => {
      seen.push(values(batch));
      return Promise.resolve({ outputs: [], consumed: batch.length - (batch.length % 12) });
    }, 5);
    await run([dozens], ([total]) => total!.consumed === 12);
    expect(seen.at(-1)).toEqual(numbers(0, 12));
    await stream().append(numbers(12, 30).map((value) => outgoing(input, value)));
    seen.length = 0;
    await run([dozens], ([total]) => total!.consumed === 12);
    expect(seen.map(([first]) => first)).toContain(12);
    for (const batch of seen) expect(batch).toEqual(numbers(batch[0]!, batch[0]! + batch.length));
    const member = await stream().join('squaring', input);
    expect(values(await readMany(member, home(), 6))).toEqual(numbers(24, 30));
  });

  it('commits nothing of a batch whose stage fails', async () => {
    await stream().append([outgoing(input, 1)]);
    const failing = squaring(() => Promise.reject(new Error('no such model')));
    await expect(run([failing], () => false)).rejects.toThrow('no such model');
    expect(await stream().committed('squaring', input)).toEqual([0, 0, 0]);
  });

  it('refuses outputs of a stage that consumed nothing, because it would make them for ever', async () => {
    await stream().append([outgoing(input, 1)]);
    const looping = squaring(() => Promise.resolve({ outputs: [outgoing(output, 1)], consumed: 0 }));
    await expect(run([looping], () => false)).rejects.toThrow('consumed nothing');
    const greedy = squaring(() => Promise.resolve({ outputs: [], consumed: 2 }));
    await expect(run([greedy], () => false)).rejects.toThrow('consumed 2 of 1');
  });

  it('stops between two transactions when it is told to', async () => {
    await stream().append(numbers(0, 30).map((value) => outgoing(input, value)));
    const controller = new AbortController();
    const stopped = run([squaring()], () => false, {
      signal: controller.signal,
      onProgress: () => controller.abort(new Error('told to stop')),
    });
    await expect(stopped).rejects.toThrow('told to stop');
    const done = await all(stream(), output);
    expect(done).toEqual(numbers(0, done.length).map((value) => value * value));
    expect(done.length).toBeLessThanOrEqual(10);
    const member = await stream().join('squaring', input);
    expect(values(await readMany(member, home(), 1))).toEqual([done.length]);
  });

  it('puts undecodable records aside with the reason, counts them, and goes on', async () => {
    await stream().append([0.5, 1, 2, 0.25, 0.125, 3, 0.75].map((value) => outgoing(input, value)));
    const member = await stream().join('looking', input);
    const read = await readMany(member, home(), 2);
    expect(read.slice(0, 2).map(isPoison)).toEqual([true, false]);
    const [total] = await run([squaring(undefined, 2)], ([one]) => one!.consumed === 7);
    expect(total).toEqual({ name: 'squaring', consumed: 7, produced: 7, deadLetters: 4 });
    expect(await all(stream(), output)).toEqual([1, 4, 9]);
    const letters = (await all(stream(), deadLetterTopic(input))).sort((a, b) => a.offset - b.offset);
    expect(letters.map(({ payload }) => String(payload))).toEqual(['0.5', '0.25', '0.125', '0.75']);
    expect(letters[0]).toMatchObject({
      topic: 'numbers',
      partition: home(),
      offset: read[0]!.offset,
      reason: '0.5 is not a whole number',
    });
    expect(await all(stream(), input)).toEqual([1, 2, 3]);
  });

  it('puts aside what it makes something invalid of, alone, and does the rest as if that were not there', async () => {
    const strict: Topic<number> = {
      ...output,
      codec: {
        ...output.codec,
        encode(value) {
          if ([66, 123].includes(value)) throw new Error(`${value} is not wanted`);
          return output.codec.encode(value);
        },
      },
    };
    /** Works on threes, and its sums depend on those before. */
    const summing = (): Stage<number> => ({
      ...squaring(undefined, 12),
      async open() {
        let last = (await all(stream(), output)).at(-1) ?? 0;
        return {
          process(batch) {
            const outputs = [];
            for (let start = 0; start + 3 <= batch.length; start += 3) {
              for (const value of values(batch.slice(start, start + 3))) last += value;
              outputs.push(outgoing(strict, last));
            }
            return Promise.resolve({ outputs, consumed: batch.length - (batch.length % 3) });
          },
        };
      },
    });
    await stream().append([0.5, ...numbers(0, 30)].map((value) => outgoing(input, value)));
    const [total] = await run([summing()], ([one]) => one!.consumed === 31);
    // 9 + 10 + 11, and 15 + 16 + 17, which is 123 without those, are put aside.
    expect(await all(stream(), output)).toEqual([3, 15, 36, 75, 132, 198, 273, 357]);
    const letters = (await all(stream(), deadLetterTopic(input))).sort((a, b) => a.offset - b.offset);
    expect(total).toMatchObject({ consumed: 31, produced: 15, deadLetters: 7 });
    expect(letters.map(({ payload }) => String(payload))).toEqual(['0.5', '9', '10', '11', '15', '16', '17']);
    expect(letters[1]!.reason).toBe('A record for squares is not valid: 66 is not wanted');
  });

  it('puts aside what a stage refuses, alone, however much it is given at once', async () => {
    await stream().append(numbers(0, 42).map((value) => outgoing(input, value)));
    const threes = squaring((batch) => {
      if (values(batch).includes(13) && values(batch).includes(14)) throw new InputError('13 brings bad luck');
      const sums = values(batch).flatMap((value, index) => (index % 3 === 2 ? [outgoing(output, 3 * value - 3)] : []));
      return Promise.resolve({ outputs: sums, consumed: batch.length - (batch.length % 3) });
    });
    const [total] = await run([threes], ([one]) => one!.consumed === 42);
    expect(total).toMatchObject({ produced: 16, deadLetters: 3 });
    expect(await all(stream(), output)).toEqual(
      numbers(0, 14).flatMap((three) => (three === 4 ? [] : [9 * three + 3])),
    );
    const letters = await all(stream(), deadLetterTopic(input));
    expect(letters.map(({ payload, reason }) => `${String(payload)}: ${reason}`).sort()).toEqual([
      '12: 13 brings bad luck',
      '13: 13 brings bad luck',
      '14: 13 brings bad luck',
    ]);
  });

  it('keeps of a record that cannot be used, and of the reason, what a record has room for', async () => {
    const wide: Topic<number> = {
      ...input,
      codec: {
        encode: () => Buffer.alloc(4_000_000, 'x'),
        decode: (bytes) => {
          throw new Error(`no number: ${Buffer.from(bytes).toString()}`);
        },
      },
    };
    await stream().append([outgoing(wide, 1)]);
    await run([{ ...squaring(), input: wide }], ([one]) => one!.consumed === 1);
    const [letter] = await all(stream(), deadLetterTopic(input));
    expect(letter!.payload).toHaveLength(2 ** 20);
    expect(letter!.reason).toMatch(/^no number: x{989} … \(this keeps the first 1048576 of the 4000000 bytes/);
  });

  it('passes any number of undecodable records in pieces', async () => {
    await stream().append([...numbers(0, 100).map(() => 0.5), 2].map((value) => outgoing(input, value)));
    const member = await stream().join('looking', input);
    expect(await readMany(member, home(), 10)).toHaveLength(10);
    await run([squaring()], ([one]) => one!.consumed === 101);
    expect(await all(stream(), output)).toEqual([4]);
    expect(await all(stream(), deadLetterTopic(input))).toHaveLength(100);
  });
}
