// The peers' own environments, in .cache/: made once, from pinned versions. Nothing outside .cache/ changes.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../../workspace/workspace.mjs';

/**
 * Makes a Python environment, unless it is there. The first time takes some minutes, and 7 GB on Linux, where PyPI's
 * torch brings the libraries of CUDA; a pip configured for an index of CPU wheels takes those.
 *
 * @param {'pytorch' | 'trl'} name of the peer
 * @returns {string} its Python
 * @throws Error if there is no Python, or a package cannot be had
 */
export function pythonEnvironment(name) {
  const requirements = join(root, 'tools', 'bench', 'peers', `requirements-${name}.txt`);
  const version = spawnSync('python3', ['-c', 'import sys; print(sys.version, sys.platform)'], { encoding: 'utf8' });
  if (version.status !== 0) throw new Error('This benchmark needs Python 3.11 or later as python3, and found none.');
  const hash = createHash('sha256')
    .update(readFileSync(requirements))
    .update(version.stdout)
    .digest('hex')
    .slice(0, 12);
  const folder = join(root, '.cache', 'bench-peers', `${name}-${hash}`);
  const python = join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const stamp = join(folder, 'installed');
  if (existsSync(stamp)) return python;
  step(`installing ${name} and what it needs into .cache/ (once)`, () => {
    rmSync(folder, { recursive: true, force: true });
    run('python3', ['-m', 'venv', folder]);
    run(python, ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '--requirement', requirements]);
  });
  writeFileSync(stamp, '');
  return python;
}

/**
 * Runs a program to its end; what it says goes to standard error.
 *
 * @param {string} program
 * @param {string[]} programArguments
 * @throws Error if it fails
 */
export function run(program, programArguments) {
  const { status, error } = spawnSync(program, programArguments, { cwd: root, stdio: ['ignore', 2, 2] });
  if (error) throw error;
  if (status !== 0) throw new Error(`${program} ${programArguments.join(' ')} failed; see its messages above`);
}
