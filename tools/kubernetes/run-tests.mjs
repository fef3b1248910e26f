import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { root } from '../workspace/workspace.mjs';

/**
 * Runs files of this folder's tests.
 *
 * @param {string[]} files
 * @returns {number} the exit code
 */
export function runTests(...files) {
  const vitest = join(root, 'node_modules', 'vitest', 'vitest.mjs');
  const config = join(root, 'tools', 'kubernetes', 'vitest.config.mjs');
  const { status } = spawnSync(process.execPath, [vitest, 'run', '--config', config, ...files], {
    cwd: root,
    stdio: 'inherit',
  });
  return status ?? 1;
}
