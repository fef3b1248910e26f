import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { acquireLock } from './folder-lock.js';

let folder: string;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'lock-'));
  file = join(folder, 'step.lock');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Arguments with which Node.js runs a process that takes the lock and gives it back so many times. */
const lockHolder = (times: number): string[] => [
  '--conditions=@infalign/source',
  '--import',
  'tsx',
  join(import.meta.dirname, 'hold-lock.fixture.ts'),
  file,
  String(times),
];

describe('a lock', () => {
  it('keeps others out, in this process and in another, until it is given back', () => {
    const release = acquireLock(file, 'the step');
    expect(() => acquireLock(file, 'the step')).toThrow(`${file}: the step is in use by process ${process.pid}. Wait`);
    const other = spawnSync(process.execPath, lockHolder(1), { encoding: 'utf8' });
    expect(other.stderr).toContain(`in use by process ${process.pid}`);
    release();
    expect(existsSync(file)).toBe(false);
    acquireLock(file, 'the step')();
  });

  it('is taken over from a process that is dead, or of another start, and from nobody', () => {
    const dead = spawnSync(process.execPath, ['-e', '']).pid;
    for (const left of [
      JSON.stringify({ pid: dead, started: '' }),
      JSON.stringify({ pid: process.pid, started: 'before the machine was restarted' }),
      '',
    ]) {
      writeFileSync(file, left);
      acquireLock(file, 'the step')();
      expect(readdirSync(folder)).toEqual([]);
    }
  });

  it('is taken over from a process that was killed while it held it', async () => {
    const holder = spawn(process.execPath, lockHolder(Infinity), { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = once(holder, 'exit');
    await Promise.race([once(holder.stdout, 'data'), ended]);
    expect(() => acquireLock(file, 'the step')).toThrow(`in use by process ${holder.pid}`);
    holder.kill('SIGKILL');
    await ended;
    acquireLock(file, 'the step')();
  });

  it('is held by one process at a time, however many want it', async () => {
    const times = 60;
    const counter = join(folder, 'counter');
    writeFileSync(counter, '0');
    const holders = Array.from({ length: 3 }, () => spawn(process.execPath, lockHolder(times), { stdio: 'ignore' }));
    await Promise.all(holders.map((holder) => once(holder, 'exit')));
    // Each reads the counter, and writes it back larger by one, while it holds the lock.
    expect(readFileSync(counter, 'utf8')).toBe(String(3 * times));
  });
});
