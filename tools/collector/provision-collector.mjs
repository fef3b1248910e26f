import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { root, step } from '../workspace/workspace.mjs';

const manifest = join(root, 'tools', 'collector', 'builder.yaml');
const builder = 'go.opentelemetry.io/collector/cmd/builder@v0.165.0';

/**
 * Builds the OpenTelemetry collector of the tests from its Go modules into `.cache/`, once. Several processes may do so at a
 * time. Needs Go.
 *
 * @returns {string} its program
 * @throws {Error} saying why, if it cannot be built here
 */
export function provisionCollector() {
  const version = createHash('sha256').update(readFileSync(manifest)).digest('hex').slice(0, 12);
  const folder = join(root, '.cache', `collector-${version}`);
  const program = join(folder, 'collector');
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, 'partial-'));
  try {
    step('building the OpenTelemetry collector from its Go modules (once, minutes)', () => build(work));
    renameSync(join(work, 'build', 'collector'), program);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return program;
}

function build(work) {
  const { error, status, stderr } = spawnSync('go', ['run', builder, `--config=${manifest}`], {
    cwd: work,
    encoding: 'utf8',
  });
  if (error) throw new Error('go is not on the PATH: the collector is built with it (Go 1.25 or later)');
  if (status !== 0) throw new Error(`the collector cannot be built: ${stderr.trim().split('\n').slice(-5).join('\n')}`);
}
