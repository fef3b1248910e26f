import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { all, input, numbers, output, values } from './conformance-topics.fixture.js';
import { openEmbeddedStream } from './embedded-stream.js';
import type { RolloutStream } from './rollout-stream.js';
import { runToQuiescence, type RunOptions } from './run-to-quiescence.js';
import type { PartitionProcessor, Stage } from './stage.js';
import { stageWorker } from './stage-worker.js';
import { outgoing } from './topic.js';
import type { WorkerProgress } from './worker.js';

let folder: string;
let stream: RolloutStream;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stream-'));
  stream = openEmbeddedStream(folder);
});
afterEach(async () => {
  await stream.close();
  rmSync(folder, { recursive: true, force: true });
});

function stage(
  name: string,
  from: Stage<number>['input'],
  maxBatchRecords: number,
  process: PartitionProcessor<number>['process'],
): Stage<number> {
  return { name, input: from, maxBatchRecords, open: () => Promise.resolve({ process }) };
}

async function run(stages: readonly Stage<number>[], options?: RunOptions): Promise<WorkerProgress[]> {
  const workers = await Promise.all(stages.map((one) => stageWorker(stream, one)));
  try {
    return await runToQuiescence(workers, options);
  } finally {
    await Promise.all(workers.map((worker) => worker.close()));
  }
}

describe('workers that run until there is nothing to do', () => {
  it('run in the order given, each until it makes no progress, round and round', async () => {
    await stream.append(numbers(0, 95).map((value) => outgoing(input, value)));
    const squaring = stage('squaring', input, 10, (batch) =>
      Promise.resolve({ outputs: batch.map(({ value }) => outgoing(output, value * value)), consumed: batch.length }),
    );
    const seen: number[] = [];
    const looking = stage('looking', output, 7, (batch) => {
      seen.push(...values(batch));
      return Promise.resolve({ outputs: [], consumed: batch.length });
    });
    const progress: string[] = [];
    const totals = await run([looking, squaring], { onProgress: ({ name }) => void progress.push(name) });
    expect(seen).toEqual(numbers(0, 95).map((value) => value * value));
    expect(totals).toEqual([
      { name: 'looking', consumed: 95, produced: 0, deadLetters: 0 },
      { name: 'squaring', consumed: 95, produced: 95, deadLetters: 0 },
    ]);
    expect(progress).toEqual([...Array<string>(10).fill('squaring'), ...Array<string>(14).fill('looking')]);
    expect(await all(stream, output)).toHaveLength(95);
  });

  it('see what they left again, with what follows', async () => {
    await stream.append(numbers(0, 12).map((value) => outgoing(input, value)));
    const seen: number[][] = [];
    const pairs = stage('pairs', input, 5, (batch) => {
      seen.push(values(batch));
      return Promise.resolve({ outputs: [], consumed: batch.length - (batch.length % 2) });
    });
    await run([pairs]);
    expect(seen).toEqual([
      [0, 1, 2, 3, 4],
      [4, 5, 6, 7, 8],
      [8, 9, 10, 11],
    ]);
    await stream.append([outgoing(input, 12)]);
    await run([pairs]);
    expect(await stream.committed('pairs', input)).toEqual([12]);
  });

  it('make the same batches when a run was cut off and is resumed', async () => {
    await stream.append(numbers(0, 30).map((value) => outgoing(input, value)));
    const seen: number[][] = [];
    const threes = stage('threes', input, 10, (batch) => {
      seen.push(values(batch));
      return Promise.resolve({ outputs: [], consumed: Math.min(batch.length, 3) });
    });
    const cutOff = run([threes], {
      onProgress: () => {
        if (seen.length === 4) throw new Error('cut off');
      },
    });
    await expect(cutOff).rejects.toThrow('cut off');
    await stream.close();
    stream = openEmbeddedStream(folder);
    await run([threes]);
    expect(seen.map(([first]) => first)).toEqual(numbers(0, 10).map((index) => index * 3));
  });
});
