import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { provisionGoProgram } from '../go/provision-go-program.mjs';
import { root, script } from '../workspace/workspace.mjs';

// `npm run check:alerts`: promtool checks the rules, and runs the tests of each.
await script(() => {
  const promtool = provisionGoProgram('promtool');
  const folder = join(root, 'infra', 'alerts');
  const tests = readdirSync(join(folder, 'tests')).map((file) => join('tests', file));
  for (const parameters of [
    ['check', 'rules', '--lint=all', '--lint-fatal', 'infalign.yaml'],
    ['test', 'rules', ...tests],
  ]) {
    const { status } = spawnSync(promtool, parameters, { cwd: folder, stdio: 'inherit' });
    if (status !== 0) throw new Error(`promtool ${parameters.slice(0, 2).join(' ')} failed`);
  }
  return Promise.resolve();
});
