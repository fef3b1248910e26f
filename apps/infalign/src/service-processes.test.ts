import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processIdentity } from '@infalign/checkpoint';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { newTestFolder, startInfalign } from './program.fixture.js';
import {
  keepStartedServices,
  serviceNodeOptions,
  serviceProgram,
  serviceTitles,
  startedServices,
  startedServicesFile,
} from './service-processes.js';

describe("the heap of a service's process", () => {
  const mebibyte = 2 ** 20;
  // 64 calls at a time hold half a mebibyte each, for long enough to be old when they drop it.
  const program = `
    import { getHeapSpaceStatistics } from 'node:v8';
    const of = (space) => getHeapSpaceStatistics().find((each) => each.space_name === space);
    const young = [of('new_space').space_size];
    const held = new Array(64);
    let oldLargest = 0;
    for (let call = 0; call < 1500; call++) {
      held[call % held.length] = Array.from({ length: 20_000 }, (_, index) => ({ index }));
      if (call > 700) oldLargest = Math.max(oldLargest, of('old_space').space_size);
      await new Promise(setImmediate);
    }
    young.push(of('new_space').space_size);
    gc();
    console.log(JSON.stringify({ young, oldLargest, oldInUse: of('old_space').space_used_size, held: held.length }));
  `;
  const options = [...serviceNodeOptions, '--expose-gc', '--input-type=module', '-e', program];
  const output = execFileSync(process.execPath, options, { encoding: 'utf8' });
  const { young, oldLargest, oldInUse } = JSON.parse(output) as {
    young: number[];
    oldLargest: number;
    oldInUse: number;
  };

  it('has a young generation of one size from the start', () => {
    // One of its two halves; the other is taken at the first collection.
    expect(young[0]).toBe(16 * mebibyte);
    expect(young[1]).toBe(2 * 16 * mebibyte);
  });

  it('has an old generation that is collected before it has grown to several times what is in use', () => {
    expect(oldLargest).toBeLessThan(3 * oldInUse);
  });
});

it.each(serviceTitles)('the program of the %s, started by its name, is started the same way', (title) => {
  const [firstLine] = readFileSync(serviceProgram(title), 'utf8').split('\n');
  expect(firstLine).toBe(`#!/usr/bin/env -S node ${serviceNodeOptions.join(' ')}`);
});

describe('a process that has the number of one that infalign up has started', () => {
  let folder: ReturnType<typeof newTestFolder>;
  let child: ChildProcess;
  let ended: Promise<unknown>;
  beforeEach(() => {
    folder = newTestFolder();
    child = spawn(process.execPath, ['-e', 'setInterval(() => undefined, 1000)']);
    ended = once(child, 'exit');
  });
  afterEach(async () => {
    child.kill('SIGKILL');
    await ended;
    folder.remove();
  });
  const keep = (started: string | undefined) => {
    const identity = { pid: child.pid!, ...(started !== undefined && { started }) };
    keepStartedServices(folder.path(''), {
      supervisor: identity,
      processes: [{ title: 'evaluator', replica: 1, restarts: 0, ...identity }],
    });
  };
  const infalign = (...args: string[]) =>
    startInfalign([...args, '--folder', folder.path('')], folder.temporaryFolder).ended;

  it.skipIf(process.platform !== 'linux')(
    'is not ended by infalign down, nor taken for it by infalign up',
    async () => {
      keep('before the machine was restarted');
      expect((await infalign('up', '--config', folder.path('nowhere.yaml'))).stderr).toContain('nowhere.yaml');
      keep('before the machine was restarted');
      expect(await infalign('down')).toMatchObject({ code: 0, stderr: '' });
      expect([child.exitCode, child.signalCode]).toEqual([null, null]);
      expect(existsSync(startedServicesFile(folder.path('')))).toBe(false);
    },
  );

  it.each([
    ['and started when it did', () => processIdentity(child.pid!).started],
    ['and of which nothing more is known', () => undefined],
  ])('%s, is it', async (_, started) => {
    keep(started());
    expect((await infalign('up')).stderr).toContain('are up already');
    expect(await infalign('down')).toMatchObject({ code: 0, stderr: '' });
    await ended;
    expect(child.signalCode).toBe('SIGTERM');
  });
});

describe('services with a file of the user', () => {
  let folder: ReturnType<typeof newTestFolder>;
  beforeEach(() => {
    folder = newTestFolder();
  });
  afterEach(() => folder.remove());
  // None of a service: nothing has to be there for them.
  const none = serviceTitles.map((title) => `${title}=0`).join();

  it('find the store and the certificates that it names relative to its own folder', async () => {
    mkdirSync(folder.path('own'));
    const own = folder.write(
      'own/mine.yaml',
      'stream: {brokers: ["127.0.0.1:1"], tls: {ca_file: tls/ca.pem}}\nstore: ../checkpoints\nstore_cache: cache\n',
    );
    const up = folder.path('up');
    const run = (...args: string[]) => startInfalign(args, folder.temporaryFolder).ended;
    expect(await run('up', '--config', own, '--folder', up, '--replicas', none)).toMatchObject({ code: 0, stderr: '' });
    expect(await run('down', '--folder', up)).toMatchObject({ code: 0, stderr: '' });
    const { loadServices } = await import('@infalign/run-config');
    const settings = await loadServices(join(up, 'services.yaml'));
    expect(settings).toEqual(await loadServices(own));
    expect(settings.store).toBe(folder.path('checkpoints'));

    const wrong = folder.write('own/wrong.yaml', 'stream: {brokers: []}\n');
    const refused = await run('up', '--config', wrong, '--folder', up, '--replicas', none);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain(`${wrong}:1:`);
  });

  it.skipIf(process.platform !== 'linux')('have logs that their supervisor does not keep open', async () => {
    const replicas = JSON.stringify(Object.fromEntries(serviceTitles.map((title) => [title, 1])));
    const { child, ended } = startInfalign(
      ['supervise', '--folder', folder.path(''), '--replicas', replicas],
      folder.temporaryFolder,
    );
    try {
      while (startedServices(folder.path(''))?.processes.length !== serviceTitles.length) await sleep(20);
      const place = `/proc/${child.pid}/fd`;
      const openLogs = () =>
        readdirSync(place).filter((name) => {
          try {
            return readlinkSync(join(place, name)).endsWith('.log');
          } catch {
            return false; // It has been closed in the meantime.
          }
        });
      // One may be open for as long as it takes to start its process.
      await expect.poll(openLogs).toEqual([]);
    } finally {
      child.kill('SIGTERM');
      await ended;
    }
  });
});
