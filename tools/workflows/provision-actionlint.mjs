import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';

const version = 'v1.7.12';

/** Whether actionlint is there, or can be built here. */
export function actionlintAvailable() {
  return existsSync(cached()) || spawnSync('go', ['version']).status === 0;
}

/**
 * Builds actionlint, the checker of GitHub's workflows, from its Go module into `.cache/`, once.
 *
 * @returns {string} its program
 * @throws {Error} saying why, if it cannot be built here
 */
export function provisionActionlint() {
  const program = cached();
  if (existsSync(program)) return program;
  mkdirSync(join(root, '.cache'), { recursive: true });
  const work = mkdtempSync(join(root, '.cache', 'actionlint-partial-'));
  try {
    step('building actionlint (once)', () => {
      const { status, stderr } = spawnSync('go', ['install', `github.com/rhysd/actionlint/cmd/actionlint@${version}`], {
        env: { ...process.env, GOBIN: work, GOFLAGS: '-mod=mod' },
        encoding: 'utf8',
      });
      if (status !== 0) throw new Error(`actionlint could not be built: ${stderr.trim().split('\n').at(-1)}`);
    });
    renameSync(join(work, 'actionlint'), program);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return program;
}

function cached() {
  return join(root, '.cache', `actionlint-${version}`);
}
