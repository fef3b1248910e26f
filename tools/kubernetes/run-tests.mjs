import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../workspace/workspace.mjs';

/**
 * Runs a file of this folder's tests.
 *
 * @param {string} file
 * @returns {number} the exit code
 */
export function runTests(file) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const config = join(root, 'tools', 'kubernetes', 'vitest.config.mjs');
  const { status } = spawnSync(process.execPath, [vitest, 'run', '--config', config, file], {
    cwd: root,
    stdio: 'inherit',
  });
  return status ?? 1;
}
