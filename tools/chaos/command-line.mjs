import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { program } from './kept-running.mjs';

/**
 * Runs `infalign run`.
 *
 * @param {string[]} commandArguments after `run`
 * @param {object} [options]
 * @param {(event: { event: string, step?: string, phase?: string, done?: number, total?: number }) => void} [options.onEvent]
 * @param {string} [options.checkout] the one whose program is started
 * @returns {{ finished: Promise<void>, stop: () => void, kill: () => void }} `finished` is rejected with what it says if it fails
 */
export function startRun(commandArguments, { onEvent = () => undefined, checkout } = {}) {
  const child = spawn(process.execPath, [program('infalign', checkout), 'run', ...commandArguments, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => (errors += text));
  createInterface(child.stdout).on('line', (line) => onEvent(JSON.parse(line)));
  const finished = once(child, 'close').then(([code, signal]) => {
    if (code === 0) return;
    const said = errors.trim().split('\n').slice(-20).join('\n');
    throw new Error(`infalign run has ended with ${signal ?? `exit code ${code}`}:\n${said}`);
  });
  // Whoever waits for it later is told then.
  finished.catch(() => undefined);
  return { finished, stop: () => child.kill('SIGTERM'), kill: () => child.kill('SIGKILL') };
}
