import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { RolloutStream } from '../rollout-stream.js';
import { outgoing, type Topic } from '../topic.js';
import type { CopyTask } from './copy-over-kafka.fixture.js';

/** A process that copies records. */
export interface Copier {
  readonly process: ChildProcess;
  /** Transactions so far, of which it has told. */
  copied(): number;
  /** SIGKILL; resolves when it has ended. */
  kill(): Promise<void>;
  /** SIGTERM. @returns how it ended */
  stop(): Promise<number | null>;
}

/** Starts a process that copies records; resolves when it begins to. */
export async function startCopier(task: CopyTask): Promise<Copier> {
  const child = spawn(
    process.execPath,
    [
      '--conditions=@infalign/source',
      '--import',
      'tsx',
      join(import.meta.dirname, 'copy-over-kafka.fixture.ts'),
      JSON.stringify(task),
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = once(child, 'exit') as Promise<[number | null]>;
  let lines = 0;
  child.stdout.on('data', (data: Buffer) => {
    for (const byte of data) if (byte === 10) lines++;
  });
  await Promise.race([once(child.stdout, 'data'), ended]);
  return {
    process: child,
    copied: () => Math.max(0, lines - 1),
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async stop() {
      child.kill('SIGTERM');
      const [code] = await ended;
      return code;
    },
  };
}

/** What came of appending numbers. */
export interface Appended {
  readonly acknowledged: Set<number>;
  /** Of which it is not known whether they were appended. */
  readonly inDoubt: Set<number>;
}

/** Appends the numbers of a range, a few at a time, whatever happens to brokers in between. */
export async function appendNumbers(
  stream: RolloutStream,
  topic: Topic<number>,
  from: number,
  to: number,
  appended: Appended,
): Promise<void> {
  for (let start = from; start < to; start += 25) {
    const numbers = Array.from({ length: Math.min(25, to - start) }, (_, index) => start + index);
    try {
      await stream.append(numbers.map((value) => outgoing(topic, value)));
      numbers.forEach((number) => appended.acknowledged.add(number));
    } catch {
      numbers.forEach((number) => appended.inDoubt.add(number));
    }
  }
}

/** What is wrong with copies of what was appended. */
export interface Faults {
  readonly lost: number[];
  readonly doubled: number[];
  /** Later ones of a key before earlier ones. */
  readonly disordered: number[];
  /** Copied, but never appended. */
  readonly invented: number[];
}

/** Compares copies with what was appended. */
export function faultsOf(copies: readonly number[], { acknowledged, inDoubt }: Appended): Faults {
  const seen = new Set<number>();
  const last = new Map<number, number>();
  const faults: Faults = { lost: [], doubled: [], disordered: [], invented: [] };
  for (const value of copies) {
    if (seen.has(value)) faults.doubled.push(value);
    if (!acknowledged.has(value) && !inDoubt.has(value)) faults.invented.push(value);
    if (value < (last.get(value % 100) ?? -1)) faults.disordered.push(value);
    seen.add(value);
    last.set(value % 100, value);
  }
  for (const value of acknowledged) if (!seen.has(value)) faults.lost.push(value);
  return faults;
}

/** What {@link faultsOf} finds where nothing is wrong. */
export const noFaults: Faults = { lost: [], doubled: [], disordered: [], invented: [] };

/** Resolves when the copies hold everything that was acknowledged, or nothing has been added for so long. */
export async function copiesOf(
  stream: RolloutStream,
  topic: Topic<number>,
  { acknowledged }: Appended,
  quietMs: number,
): Promise<number[]> {
  const reader = await stream.follow(topic);
  const copies: number[] = [];
  const missing = new Set(acknowledged);
  let lastNews = performance.now();
  while (missing.size > 0 && performance.now() - lastNews < quietMs) {
    const batch = await reader.read(1000);
    for (const record of batch) {
      if (!('value' in record)) continue;
      copies.push(record.value);
      missing.delete(record.value);
    }
    if (batch.length > 0) lastNews = performance.now();
    else await reader.changed(500);
  }
  await reader.close();
  // What is doubled may come later.
  const found: number[] = [];
  for await (const { value } of stream.readAll(topic)) found.push(value);
  return found.length >= copies.length ? found : copies;
}
