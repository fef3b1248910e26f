import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { kafkaAvailable, startCluster, type KafkaCluster } from '../../../tools/kafka/index.mjs';
import { partitions, storeTinyCheckpoints } from './tiny-store.fixture.js';

export const serviceTitles = ['policy-sampler', 'reward-scorer', 'calibrator', 'ppo-learner', 'evaluator'] as const;
export type ServiceTitle = (typeof serviceTitles)[number];

/** A broker, a checkpoint store and processes of services: for the tests of one file. */
export interface Workplace {
  readonly folder: string;
  /** Folder of the checkpoint store. */
  readonly store: string;
  readonly cluster: KafkaCluster;
  /** Writes a services file. @param settings over broker, store and free ports */
  servicesFile(name: string, settings?: Readonly<Record<string, unknown>>): string;
  /** Starts the program of a service; it ends with the tests. */
  start(title: ServiceTitle, configFile: string): RunningProgram;
  /** Starts the five, and waits until they listen. */
  startAll(configFile: string): Promise<Record<ServiceTitle, RunningProgram>>;
}

/** A program, and what it has said so far. */
export interface RunningProgram {
  readonly pid: number;
  /** Where it listens, when it does. @throws Error with what it has said, if it ends before */
  readonly address: Promise<string>;
  /** Resolves to the exit code when it has ended; null where a signal ended it. */
  readonly ended: Promise<number | null>;
  standardOutput(): string;
  standardError(): string;
  signal(name: 'SIGTERM' | 'SIGKILL'): void;
}

/**
 * Tests that need a broker and real processes. Where there is no Java or no Maven they are left out, with the reason; in
 * continuous integration that is a failure.
 */
export function describeWithKafka(name: string, tests: (workplace: () => Workplace) => void): void {
  const available = kafkaAvailable();
  if (!available.ok) {
    const reason = available.missing.join(' ');
    if (process.env.CI) it(name, () => Promise.reject(new Error(`This is left out, in CI: ${reason}`)));
    else describe.skip(`${name} (left out: ${reason})`, () => it('needs a broker'));
    return;
  }
  describe(name, { timeout: 120_000 }, () => {
    const programs: RunningProgram[] = [];
    let folder: string;
    let workplace: Workplace | undefined;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'services-'));
      const store = join(folder, 'checkpoints');
      mkdirSync(store);
      storeTinyCheckpoints(store);
      const cluster = await startCluster({ folder: join(folder, 'kafka'), timeoutSeconds: 180 });
      const start = (title: ServiceTitle, configFile: string): RunningProgram => {
        const program = startProgram(title, ['--config', configFile]);
        programs.push(program);
        return program;
      };
      workplace = {
        folder,
        store,
        cluster,
        servicesFile(file, settings = {}) {
          const ports = serviceTitles.map((title) => [title.replace('-', '_'), { port: 0 }] as const);
          const stream = { brokers: cluster.brokers.plaintext, partitions };
          const path = join(folder, file);
          // JSON is YAML.
          writeFileSync(path, JSON.stringify({ stream, store, services: Object.fromEntries(ports), ...settings }));
          return path;
        },
        start,
        async startAll(configFile) {
          const started = serviceTitles.map((title) => [title, start(title, configFile)] as const);
          await Promise.all(started.map(([, program]) => program.address));
          return Object.fromEntries(started) as Record<ServiceTitle, RunningProgram>;
        },
      };
    }, 240_000);
    afterAll(async () => {
      for (const program of programs) program.signal('SIGKILL');
      await Promise.all(programs.map(({ ended }) => ended));
      await workplace?.cluster.stop();
      rmSync(folder, { recursive: true, force: true });
    }, 60_000);
    tests(() => workplace!);
  });
}

/** From the sources, so that tests need no build. */
function startProgram(title: ServiceTitle, args: readonly string[]): RunningProgram {
  const main = fileURLToPath(new URL(`../../../apps/${title}/src/main.ts`, import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@infalign/source', '--import', 'tsx', main, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // However this process ends, none is left behind.
  const kill = (): void => void child.kill('SIGKILL');
  process.once('exit', kill);
  let [output, errors] = ['', ''];
  child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
  const ended = once(child, 'close').then(([code]: unknown[]) => {
    process.off('exit', kill);
    return code as number | null;
  });
  const listening = new Promise<string>((resolve) => {
    createInterface(child.stdout).on('line', (line) => {
      output += `${line}\n`;
      const address = /listening on (\S+)$/.exec(line)?.[1];
      if (address !== undefined) resolve(address);
    });
  });
  const address = Promise.race([
    listening,
    ended.then((code) => Promise.reject(new Error(`${title} has ended with ${code}: ${errors}`))),
  ]);
  // Whoever waits for it sees it fail; programs that are meant to end have nobody who does.
  address.catch(() => undefined);
  return {
    pid: child.pid!,
    address,
    ended,
    standardOutput: () => output,
    standardError: () => errors,
    signal: (name) => void child.kill(name),
  };
}
