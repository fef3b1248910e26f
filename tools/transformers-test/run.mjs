// `npm run test:transformers`: Python's transformers loads what this repository saves, and computes the same.
//
// The first run makes a Python environment of its own in .cache/ (about two minutes, and 5 GB on Linux, where PyPI's torch
// brings the libraries of CUDA; a pip configured for an index of CPU wheels takes those). Nothing outside .cache/ changes.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { installWorkspace } from '../workspace/install.mjs';
import { root, script, step } from '../workspace/workspace.mjs';

const here = join(root, 'tools', 'transformers-test');

await script(async () => {
  await installWorkspace();
  const python = environment();
  const cache = join(root, '.cache', 'transformers-test');
  mkdirSync(cache, { recursive: true });
  const models = mkdtempSync(join(cache, 'models-'));
  try {
    step('writing models and what they compute', () =>
      run(process.execPath, [
        '--conditions=@infalign/source',
        '--import',
        'tsx',
        join(here, 'write-models.mjs'),
        models,
      ]),
    );
    return step('loading them with transformers', () =>
      run(python, [join(here, 'check_models.py'), models], { allowFailure: true }),
    );
  } finally {
    rmSync(models, { recursive: true, force: true });
  }
});

/** Makes the Python environment, unless it is there. @returns {string} its Python */
function environment() {
  const requirements = join(here, 'requirements.txt');
  const version = spawnSync('python3', ['-c', 'import sys; print(sys.version, sys.platform)'], { encoding: 'utf8' });
  if (version.status !== 0) throw new Error('This test needs Python 3.11 or later as python3, and found none.');
  const hash = createHash('sha256')
    .update(readFileSync(requirements))
    .update(version.stdout)
    .digest('hex')
    .slice(0, 12);
  const folder = join(root, '.cache', 'transformers-test', `environment-${hash}`);
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

/**
 * @param {string} program
 * @param {string[]} programArguments
 * @returns {number} its exit status
 */
function run(program, programArguments, { allowFailure = false } = {}) {
  const { status, error } = spawnSync(program, programArguments, {
    cwd: root,
    stdio: 'inherit',
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '2', HF_HUB_OFFLINE: '1' },
  });
  if (error) throw error;
  if (status !== 0 && !allowFailure) throw new Error(`${program} ${programArguments.join(' ')} failed`);
  return status ?? 1;
}
