import { spawnSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { pythonEnvironment } from '../python/environment.mjs';
import { root } from '../workspace/workspace.mjs';

export const here = join(root, 'tools', 'transformers-test');

/** Where the tests keep what they install and write. @returns {string} */
export function cacheFolder() {
  const folder = join(root, '.cache', 'transformers-test');
  mkdirSync(folder, { recursive: true });
  return folder;
}

/** Makes the Python environment, unless it is there. @returns {string} its Python */
export function environment() {
  return pythonEnvironment({
    requirements: join(here, 'requirements.txt'),
    folder: join(cacheFolder(), 'environment'),
    what: 'torch and transformers',
  });
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
