import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { seededRandom } from '@infalign/core';
import { open } from 'lmdb';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { describeRolloutStream } from './conformance.fixture.js';
import { openEmbeddedStream } from './embedded-stream.js';
import { numberTopic } from './records.fixture.js';
import { runToQuiescence } from './run-to-quiescence.js';
import type { Stage } from './stage.js';
import { stageWorker } from './stage-worker.js';
import { outgoing } from './topic.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'stream-'));
  file = join(folder, 'log.mdb');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const input = numberTopic('numbers');
const output = numberTopic('copies');
const latest = numberTopic('latest', { compacted: true });

const copier: Stage<number> = {
  name: 'copier',
  input,
  maxBatchRecords: 30,
  open: () =>
    Promise.resolve({
      process: (batch) =>
        Promise.resolve({ outputs: batch.map(({ value }) => outgoing(output, value)), consumed: batch.length }),
    }),
};

/** Arguments with which Node.js runs a program of this package's sources. */
const child = (program: string): string[] => [
  '--conditions=@infalign/source',
  '--import',
  'tsx',
  join(import.meta.dirname, program),
  folder,
];

describeRolloutStream('the embedded stream', () => {
  const place = mkdtempSync(join(tmpdir(), 'stream-'));
  const tested = {
    stream: openEmbeddedStream(place, { partitions: 3 }),
    async reopen() {
      await tested.stream.close();
      return (tested.stream = openEmbeddedStream(place, { partitions: 3 }));
    },
    async remove() {
      await tested.stream.close();
      rmSync(place, { recursive: true, force: true });
    },
  };
  return Promise.resolve(tested);
});

describe('the lock of a log', () => {
  it('keeps a second stream out, in this process and in others, until it is closed', async () => {
    const stream = openEmbeddedStream(folder);
    expect(() => openEmbeddedStream(folder)).toThrow(`is in use by process ${process.pid}`);
    const other = spawnSync(process.execPath, child('fill-disk.fixture.ts'), { encoding: 'utf8' });
    expect(other.stdout).toContain(`in use by process ${process.pid}`);
    await stream.close();
    expect(existsSync(join(folder, 'log.lock'))).toBe(false);
    await openEmbeddedStream(folder).close();
  });

  it('is taken over from a process that is dead, or of another start, and from nobody', async () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    for (const left of [
      JSON.stringify({ pid: dead, started: '' }),
      JSON.stringify({ pid: process.pid, started: 'before the machine was restarted' }),
      '',
    ]) {
      writeFileSync(join(folder, 'log.lock'), left);
      await openEmbeddedStream(folder).close();
    }
  });
});

describe('a process that copies records', () => {
  it('leaves each exactly once, however often it is killed', async () => {
    const random = seededRandom('kills');
    let appended = 0;
    let kills = 0;
    while (kills < 10) {
      const stream = openEmbeddedStream(folder);
      await stream.append(Array.from({ length: 200 }, () => outgoing(input, appended++)));
      await stream.close();
      if ((await copyRecords(random.uniform() * 40)) === 'SIGKILL') kills++;
    }
    expect(await copyRecords()).toBe(null);
    const stream = openEmbeddedStream(folder);
    const copies: number[] = [];
    for await (const { value } of stream.readAll(output)) copies.push(value);
    await stream.close();
    expect(copies).toEqual(Array.from({ length: appended }, (_, value) => value));
  }, 180_000);

  /** Runs the process; kills it so many milliseconds after it began to copy. Returns the signal that ended it, if any. */
  async function copyRecords(killAfterMs?: number): Promise<string | null> {
    const copier = spawn(process.execPath, child('copy-records.fixture.ts'), { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(copier, 'exit');
    await Promise.race([once(copier.stdout, 'data'), ended]);
    const timer = killAfterMs === undefined ? undefined : setTimeout(() => copier.kill('SIGKILL'), killAfterMs);
    const [code, signal] = (await ended) as [number | null, string | null];
    clearTimeout(timer);
    expect(code ?? 0).toBe(0);
    return signal;
  }
});

describe('a full disk', () => {
  it('is told as such; what was acknowledged is kept, nothing else is, and it goes on when there is room', async () => {
    // A limit on the size of files stands in for it: the system refuses the same write.
    const filling = spawnSync(
      'bash',
      ['-c', 'ulimit -f 2000; exec "$0" "$@"', process.execPath, ...child('fill-disk.fixture.ts')],
      {
        encoding: 'utf8',
      },
    );
    const { message, acknowledged, readable } = JSON.parse(filling.stdout) as {
      message: string;
      acknowledged: number;
      readable: number;
    };
    expect(message).toContain(`${file}: the log could not be written`);
    expect(message).toContain('make room');
    expect(acknowledged).toBeGreaterThan(0);
    expect(readable).toBe(acknowledged);
    const stream = openEmbeddedStream(folder);
    expect(await stream.endOffsets(input)).toEqual([acknowledged]);
    await stream.append([outgoing(input, 1)]);
    expect(await stream.endOffsets(input)).toEqual([acknowledged + 1]);
    await stream.close();
  });
});

describe('a damaged log', () => {
  it('is one message, or does not matter, wherever a byte changes; it is never a crash or a silent loss', async () => {
    const bytes = await someLog();
    const random = seededRandom('damage');
    let told = 0;
    for (let round = 0; round < 150; round++) {
      const changed = Buffer.from(bytes);
      // Where the structure is: the beginning of pages; those of the header above all.
      const page = round % 4 === 0 ? random.integer(2) : random.integer(bytes.length / 4096);
      const at = page * 4096 + random.integer([168, 24, 400, 4096][round % 4]!);
      changed[at] = changed[at]! ^ (1 << random.integer(8));
      writeFileSync(file, changed);
      if (!(await useAll())) told++;
    }
    expect(told).toBeGreaterThan(30);
  });

  it('names the file, topic, partition, offset and remedy where a record is damaged', async () => {
    const bytes = await someLog();
    // Pages that are free now may hold it too.
    const copies = [...bytes.toString('latin1').matchAll(/1234567/g)];
    expect(copies).not.toEqual([]);
    for (const { index } of copies) bytes.write('1234568', index);
    writeFileSync(file, bytes);
    const stream = openEmbeddedStream(folder);
    const member = await stream.join('new', input);
    await expect(member.read(0, 10_000)).rejects.toThrow(
      /log.mdb: the log is damaged: numbers, partition 0, offset 500: .*checksum.*Restore/,
    );
    await stream.close();
  });

  it('is told when the file was cut short', async () => {
    const bytes = await someLog();
    for (const length of [100, 4096, 8192, 20_000, bytes.length >> 1, bytes.length * 0.75]) {
      writeFileSync(file, bytes);
      truncateSync(file, length);
      expect(() => openEmbeddedStream(folder)).toThrow(/log\.mdb: .*(damaged|not a log).*Restore/);
    }
  });

  it('is told from a file of another program, which is left as it is', async () => {
    writeFileSync(file, 'Dear diary,\n'.repeat(1000));
    expect(() => openEmbeddedStream(folder)).toThrow('is not a log');
    rmSync(file);
    const foreign = open<string, string>({ path: file, noSubdir: true });
    await foreign.put('a', 'b');
    await foreign.close();
    const before = readFileSync(file);
    expect(() => openEmbeddedStream(folder)).toThrow('a database of another program');
    expect(readFileSync(file).equals(before)).toBe(true);
  });

  it('is told from a log that was made with another number of partitions, which can still be used', async () => {
    await openEmbeddedStream(folder, { partitions: 2 }).close();
    expect(() => openEmbeddedStream(folder)).toThrow(
      /log\.mdb: the log was made with 2 partitions, not 1; open it with/,
    );
    const stream = openEmbeddedStream(folder, { partitions: 2 });
    expect(stream.partitions).toBe(2);
    await stream.close();
    for (const partitions of [0, 1.5, NaN]) {
      expect(() => openEmbeddedStream(folder, { partitions })).toThrow('not a number of partitions');
    }
  });

  it('may be an empty file: one that was just made when the machine stopped', async () => {
    writeFileSync(file, '');
    const stream = openEmbeddedStream(folder);
    await stream.append([outgoing(input, 1)]);
    await stream.close();
  });

  /** The bytes of a log of three topics, with free pages in it. */
  async function someLog(): Promise<Buffer> {
    const stream = openEmbeddedStream(folder);
    for (let round = 0; round < 20; round++) {
      const numbers = Array.from({ length: 50 }, (_, index) => round * 50 + index);
      await stream.append(numbers.map((value) => outgoing(input, value === 500 ? 1234567 : value)));
      await stream.append(numbers.map((value) => outgoing(latest, value)));
      const worker = await stageWorker(stream, copier);
      await runToQuiescence([worker]);
      await worker.close();
    }
    await stream.close();
    return readFileSync(file);
  }

  /** Whether everything of {@link someLog} can be read and written to; if not, it was told in an InputError. */
  async function useAll(): Promise<boolean> {
    try {
      const stream = openEmbeddedStream(folder);
      try {
        const count = { numbers: 0, copies: 0 };
        for await (const { value } of stream.readAll(input)) count.numbers += Number(value >= 0);
        for await (const { value } of stream.readAll(output)) count.copies += Number(value >= 0);
        expect(count).toEqual({ numbers: 1000, copies: 1000 });
        expect((await stream.table(latest)).size).toBe(100);
        await stream.committed('copier', input);
        for (let round = 0; round < 3; round++) {
          await stream.append(Array.from({ length: 50 }, (_, value) => outgoing(round % 2 ? input : latest, value)));
        }
        return true;
      } finally {
        await stream.close();
      }
    } catch (error) {
      expect(error).toMatchObject({ name: 'InputError', message: expect.stringContaining(file) as string });
      return false;
    }
  }
});
