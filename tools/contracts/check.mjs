import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { root, script, step } from '../workspace/workspace.mjs';
import { buf, generate, generated } from './buf.mjs';
import { release, releasedImage } from './released.mjs';

// `npm run contracts:check`: the contracts are well-formed, the generated code is theirs, and nothing that others may
// rely on has been broken.
await script(async () => {
  step('contracts: lint', () => buf(['lint']));
  step('contracts: generated code is up to date', checkGenerated);
  step(`contracts: nothing broken since release ${release().version}`, () =>
    buf(['breaking', '--against', releasedImage]),
  );
  const base = baseCommit();
  if (base === undefined) process.stderr.write('contracts: no earlier version in the history to compare with\n');
  else
    step(`contracts: nothing broken since ${base.slice(0, 12)}`, () =>
      buf(['breaking', '--against', `../.git#ref=${base},subdir=protos`]),
    );
});

function checkGenerated() {
  const before = mkdtempSync(join(tmpdir(), 'contracts-'));
  try {
    generated.forEach((folder, index) => cpSync(folder, join(before, `${index}`), { recursive: true }));
    generate();
    generated.forEach((folder, index) => {
      try {
        git('diff', '--no-index', '--stat', '--exit-code', join(before, `${index}`), folder);
      } catch {
        throw new Error(`${relative(root, folder)} is not what its protos say; it has been written anew: commit it`);
      }
    });
  } finally {
    rmSync(before, { recursive: true, force: true });
  }
}

/** Where main was before: origin's main where this is a branch of it, else the last commit that had other contracts. */
function baseCommit() {
  const head = git('rev-parse', 'HEAD');
  for (const reference of ['origin/main', 'main']) {
    try {
      const commit = git('rev-parse', '--verify', '--quiet', reference);
      if (commit !== head && hasContracts(commit)) return commit;
    } catch {
      // There is no such branch.
    }
  }
  const changes = git('log', '--format=%H', '--', 'protos').split('\n').filter(Boolean);
  const before = changes[1];
  return before !== undefined && hasContracts(before) ? before : undefined;
}

function hasContracts(commit) {
  return git('ls-tree', '--name-only', commit, 'protos/buf.yaml') !== '';
}

function git(...args) {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
}
