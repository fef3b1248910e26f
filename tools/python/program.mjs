import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';

/**
 * Installs a program that PyPI has as a binary into `.cache/`, once. Several processes may do so at a time.
 *
 * @param {{ name: string, requirements: string, title: string }} program `name`: of its file; `requirements`: the file that
 *   pins its package by hash; `title`: what is said while it is installed
 * @returns {string} the program's path
 * @throws {Error} saying why, if it cannot be installed here
 */
export function programFromPypi({ name, requirements, title }) {
  const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(root, '.cache', `${name}-${version}`);
  const program = join(folder, name);
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, 'partial-'));
  try {
    step(`installing ${title}`, () => install(work, requirements));
    const installed = join(work, 'packages', 'bin', name);
    chmodSync(installed, 0o755);
    renameSync(installed, program);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return program;
}

/** Into an environment of its own, so that pip's own version is that of Python and nothing of the user's changes. */
function install(work, requirements) {
  const environment = join(work, 'environment');
  run('python3', ['-m', 'venv', environment]);
  run(join(environment, 'bin', 'python'), [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--disable-pip-version-check',
    '--no-cache-dir',
    '--no-deps',
    '--only-binary=:all:',
    '--require-hashes',
    `--target=${join(work, 'packages')}`,
    `--requirement=${requirements}`,
  ]);
}

function run(program, programArguments) {
  const { error, status, stderr } = spawnSync(program, programArguments, { encoding: 'utf8' });
  if (error) throw new Error(`${program} is not on the PATH`);
  if (status !== 0) {
    const reason = stderr.trim().split('\n').at(-1);
    throw new Error(`${program} ${programArguments.slice(0, 3).join(' ')} failed: ${reason}`);
  }
}
