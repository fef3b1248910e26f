import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';

export const here = join(root, 'tools', 'transformers-test');

/** Where the tests keep what they install and write. @returns {string} */
export function cacheFolder() {
  const folder = join(root, '.cache', 'transformers-test');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Makes the Python environment, unless it is there. @returns {string} its Python */
export function environment() {
  const requirements = join(here, 'requirements.txt');
  const version = spawnSync('python3', ['-c', 'import sys; print(sys.version, sys.platform)'], { encoding: 'utf8' });
  if (version.status !== 0) throw new Error('This test needs Python 3.11 or later as python3, and found none.');
  const hash = createHash('sha256')
    .update(readFileSync(requirements))
    .update(version.stdout)
    .digest('hex')
    .slice(0, 12);
  const folder = join(cacheFolder(), `environment-${hash}`);
  const python = join(folder, process.platform === 'win32' ? 'Scripts/python.exe' : 'bin/python');
  const stamp = join(folder, 'installed');
  if (existsSync(stamp)) return python;
  step('installing torch and transformers into .cache/ (once)', () => {
    rmSync(folder, { recursive: true, force: true });
    run('python3', ['-m', 'venv', folder]);
    run(python, ['-m', 'pip', 'install', '--quiet', '--no-cache-dir', '--requirement', requirements]);
  });
  writeFileSync(stamp, '');
  return python;
}

/** Runs a script of this folder with the workspace's sources. @returns {number} its exit status */
export function runScript(name, scriptArguments, options) {
  const loader = ['--conditions=@infalign/source', '--import', 'tsx'];
  return run(process.execPath, [...loader, join(here, name), ...scriptArguments], options);
}

/**
 * @param {string} program
 * @param {string[]} programArguments
 * @returns {number} its exit status
 */
export function run(program, programArguments, { allowFailure = false } = {}) {
  const { status, error } = spawnSync(program, programArguments, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', HF_HUB_OFFLINE: '1' },
  });
  if (error) throw error;
  if (status !== 0 && !allowFailure) throw new Error(`${program} ${programArguments.join(' ')} failed`);
  return status ?? 1;
}
