// Python environments in .cache/: made once, from pinned versions. Nothing outside .cache/ changes.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';

/**
 * Makes a Python environment, unless it is there.
 *
 * @param {{ requirements: string, folder: string, what: string }} options requirements: the file of pinned packages;
 *   folder: the beginning of its path, to which what it is made of is added; what: it holds, for messages
 * @returns {string} its Python
 * @throws Error if there is no Python, or a package cannot be had
 */
export function pythonEnvironment({ requirements, folder: beginning, what }) {
  const version = spawnSync('python3', ['-c', 'import sys; print(sys.version, sys.platform)'], { encoding: 'utf8' });
  if (version.status !== 0) throw new Error(`${what}: Python 3.11 or later is needed as python3, and there is none.`);
  const hash = createHash('sha256')
    .update(readFileSync(requirements))
    .update(version.stdout)
    .digest('hex')
    .slice(0, 12);
  const folder = `${beginning}-${hash}`;
  const python = join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const stamp = join(folder, 'installed');
  if (existsSync(stamp)) return python;
  step(`installing ${what} into .cache/ (once)`, () => {
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
