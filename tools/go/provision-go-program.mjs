import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';
import { goPrograms } from './go-programs.mjs';

const cache = join(root, '.cache', 'go-programs');

/**
 * Builds a program into `.cache/`, once. Several processes may do so at a time.
 *
 * @param {keyof typeof goPrograms} name
 * @returns {string} the program
 * @throws {Error} saying why, if it cannot be built here
 */
export function provisionGoProgram(name) {
  const { module, version, path, tags = [] } = goPrograms[name];
  const program = programFile(name);
  if (existsSync(program)) return program;
  mkdirSync(cache, { recursive: true });
  const work = mkdtempSync(join(cache, 'partial-'));
  try {
    step(`building ${name} ${version} (once, minutes)`, () => {
      // Without symbols, and without the paths of this machine.
      const flags = ['-trimpath', '-ldflags=-s -w', ...(tags.length > 0 ? [`-tags=${tags.join(',')}`] : [])];
      const { error, status, stderr } = spawnSync('go', ['install', ...flags, `${module}/${path}@${version}`], {
        encoding: 'utf8',
        env: { ...process.env, GOBIN: work },
        maxBuffer: 2 ** 26,
      });
      if (error) throw new Error(goIsMissing(name));
      if (status !== 0) throw new Error(`${name} cannot be built: ${stderr.trim().split('\n').slice(-5).join('\n')}`);
    });
    renameSync(join(work, basename(path)), program);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return program;
}

/**
 * Whether a program is here, or can be built.
 *
 * @param {keyof typeof goPrograms} name
 * @returns {{ ok: true } | { ok: false, missing: string }}
 */
export function goProgramAvailable(name) {
  if (existsSync(programFile(name)) || spawnSync('go', ['version'], { stdio: 'ignore' }).status === 0) {
    return { ok: true };
  }
  return { ok: false, missing: goIsMissing(name) };
}

function programFile(name) {
  return join(cache, `${name}-${goPrograms[name].version}`);
}

function goIsMissing(name) {
  return `${name} is built by Go, and go is not on the PATH: get it from https://go.dev/dl`;
}
