import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { provisionTensorflow } from './provision-tensorflow.mjs';
import { root, step } from './workspace.mjs';

/**
 * Brings a fresh clone to a state in which everything runs: npm packages exactly as locked, and the native TensorFlow
 * library under tfjs-node. Does nothing, in milliseconds, where that has been done.
 *
 * @param {{ gpu?: boolean }} options see `provisionTensorflow`
 */
export async function installWorkspace(options) {
  installPackages();
  await provisionTensorflow(join(root, 'node_modules', '@tensorflow', 'tfjs-node'), options);
}

/** The programs of the workspace: the command line, the services that it starts, and what asks for their health. */
export const programs = [
  'infalign',
  'policy-sampler',
  'reward-scorer',
  'calibrator',
  'ppo-learner',
  'evaluator',
  'service-health',
];

/**
 * Compiles the workspace's TypeScript (incrementally) so that `npx infalign` and the services run.
 *
 * @param {...string} libraries folders of libraries that none of these programs has, such as `libs/monitoring`
 */
export function buildWorkspace(...libraries) {
  step('compiling TypeScript', () =>
    execFileSync(
      process.execPath,
      [
        join(root, 'node_modules/typescript/bin/tsc'),
        '--build',
        ...[...programs.map((name) => `apps/${name}`), ...libraries].map((folder) => `${folder}/tsconfig.lib.json`),
      ],
      {
        cwd: root,
        stdio: ['ignore', 2, 2],
      },
    ),
  );
}

function installPackages() {
  const lockHash = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.cache', 'infalign', 'installed-lock.sha256');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lockHash) return;
  // Where this fails half-way, the next attempt begins anew.
  rmSync(stamp, { force: true });
  step('installing npm packages', () => {
    const npm = process.env.npm_execpath;
    const [command, first] = npm ? [process.execPath, [npm]] : ['npm', []];
    const result = spawnSync(command, [...first, 'ci', '--no-progress', '--loglevel=error'], {
      cwd: root,
      stdio: ['ignore', 2, 2],
    });
    if (result.status !== 0) throw new Error('npm ci failed; see its messages above');
  });
  mkdirSync(join(stamp, '..'), { recursive: true });
  writeFileSync(stamp, lockHash);
}
