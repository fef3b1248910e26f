import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { goProgramAvailable, provisionGoProgram } from '../go/provision-go-program.mjs';
import { root } from '../workspace/workspace.mjs';

const folder = join(root, '.github', 'workflows');
const workflows = readdirSync(folder).map((file) => {
  const text = readFileSync(join(folder, file), 'utf8');
  return { file, text, ...parse(text) };
});

it.runIf(goProgramAvailable('actionlint').ok || process.env.CI)('GitHub would understand every workflow', () => {
  const { status, stdout } = spawnSync(provisionGoProgram('actionlint'), ['-no-color'], {
    cwd: root,
    encoding: 'utf8',
  });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});

describe.each(workflows)('$file', ({ text, permissions, jobs }) => {
  it('uses actions as they were at one commit, and says of which version', () => {
    const uses = text.split('\n').filter((line) => line.includes('uses:'));
    expect(uses.length).toBeGreaterThan(0);
    for (const line of uses) {
      expect(line).toMatch(/uses: (\.\/\.github\/workflows\/\w+\.yaml|[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+)$/);
    }
  });

  it('may read the sources, and more only in jobs that say so', () => {
    expect(permissions).toEqual({ contents: 'read' });
    const published = Object.values(jobs).filter((job) => job.permissions?.['id-token'] === 'write');
    for (const job of Object.values(jobs)) {
      expect(job.permissions?.contents ?? 'read').toBe('read');
      if (job.permissions?.packages === 'write') expect(published).toContain(job);
    }
  });

  it('leaves no token in the checkout, and no job without an end', () => {
    for (const job of Object.values(jobs).filter(({ steps }) => steps)) {
      expect(job['timeout-minutes']).toBeLessThanOrEqual(60);
      for (const step of job.steps.filter(({ uses }) => uses?.startsWith('actions/checkout@'))) {
        expect(step.with['persist-credentials']).toBe(false);
      }
    }
  });
});

it('pins an action to the same commit everywhere', () => {
  const pins = workflows.flatMap(({ text }) => [...text.matchAll(/uses: ([\w-]+\/[\w-]+)@(\S+) # (\S+)/g)]);
  const commits = new Map();
  for (const [, action, commit, version] of pins) {
    expect(`${commit} ${version}`).toBe(commits.get(action) ?? `${commit} ${version}`);
    commits.set(action, `${commit} ${version}`);
  }
});

it('publishes every image that is built, on the versions that they are built on here', () => {
  const { env, jobs } = workflows.find(({ file }) => file === 'images.yaml');
  const { target, variable } = JSON.parse(readFileSync(join(root, 'infra/images/docker-bake.json'), 'utf8'));
  for (const [name, base] of Object.entries(env)) expect(base).toBe(variable[name].default);
  const listed = jobs.publish.steps.map(({ run }) => /-eq (\d+)/.exec(run ?? '')?.[1]).find(Boolean);
  expect(Number(listed)).toBe(target.images.matrix.program.length);
});
