import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../../workspace/workspace.mjs';
import { run } from '../../python/environment.mjs';
import { startWorker } from './worker.mjs';

/** Its package for a platform brings llama.cpp compiled for every processor. Pinned: another version has another speed. */
const version = '3.22.1';

/**
 * Starts llama.cpp, through node-llama-cpp, which is installed into .cache/ the first time.
 *
 * @param {number} threads that it computes with
 * @returns the worker, and the versions of what it runs
 */
export async function startLlamaCpp(threads) {
  const program = join(root, 'tools', 'bench', 'peers', 'llama-cpp-worker.mjs');
  const worker = startWorker('llama.cpp', process.execPath, [program, nodeLlamaCpp()], {});
  return { worker, versions: await worker.call('start', { threads }) };
}

/** @returns {string} the path of the package's entry */
function nodeLlamaCpp() {
  const folder = join(root, '.cache', 'bench-peers', `node-llama-cpp-${version}`);
  const entry = join(folder, 'node_modules', 'node-llama-cpp', 'dist', 'index.js');
  const stamp = join(folder, 'installed');
  if (existsSync(stamp)) return entry;
  step('installing node-llama-cpp into .cache/ (once)', () => {
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    // Of the compiled packages only the one without a GPU's libraries.
    const compiled = `@node-llama-cpp/${process.platform}-${process.arch}`;
    const dependencies = { 'node-llama-cpp': version, [compiled]: version };
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ private: true, dependencies }));
    const options = ['--ignore-scripts', '--omit=optional', '--no-audit', '--no-fund', '--loglevel=error'];
    run('npm', ['install', '--prefix', folder, ...options]);
  });
  writeFileSync(stamp, '');
  return entry;
}
