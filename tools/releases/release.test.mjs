import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../workspace/workspace.mjs';

const author = ['-c', 'user.name=release', '-c', 'user.email=release@example.com'];

describe('a release of a copy of the workspace', () => {
  const folder = mkdtempSync(join(tmpdir(), 'infalign-release-'));
  const git = (...args) => execFileSync('git', [...author, ...args], { cwd: folder, encoding: 'utf8' });
  const read = (file) => readFileSync(join(folder, file), 'utf8');
  const manifest = (file) => JSON.parse(read(file));
  const nx = (...args) =>
    execFileSync(process.execPath, [join(root, 'node_modules/nx/dist/bin/nx.js'), ...args], {
      cwd: folder,
      encoding: 'utf8',
      env: {
        ...process.env,
        NX_DAEMON: 'false',
        GIT_AUTHOR_NAME: 'release',
        GIT_AUTHOR_EMAIL: 'release@example.com',
        GIT_COMMITTER_NAME: 'release',
        GIT_COMMITTER_EMAIL: 'release@example.com',
      },
    });
  const folders = ['libs', 'libs/stages', 'apps'];

  beforeAll(() => {
    const files = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], { cwd: root });
    for (const file of files.toString().split('\0').filter(Boolean)) {
      mkdirSync(dirname(join(folder, file)), { recursive: true });
      cpSync(join(root, file), join(folder, file));
    }
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
    rmSync(join(folder, '.nx'), { recursive: true, force: true });
    mkdirSync(join(folder, '.nx', 'version-plans'), { recursive: true });
    writeFileSync(join(folder, '.nx/version-plans/news.md'), '---\n__default__: minor\n---\n\nRollouts can be kept.\n');
    git('init', '--quiet', '--initial-branch=main');
    git('add', '--all');
    git('commit', '--quiet', '--message', 'Everything');
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('changes nothing when it is only tried', () => {
    const output = nx('release', '--dry-run', '--skip-publish');
    expect(output).toContain('Rollouts can be kept.');
    expect(git('status', '--porcelain')).toBe('');
    expect(git('tag')).toBe('');
  });

  it('gives all packages and what depends on them the next version, tells the news, and marks the commit', () => {
    const before = manifest('libs/infalign/package.json').version;
    const [major, minor] = before.split('.').map(Number);
    const next = `${major}.${minor + 1}.0`;
    nx('release', '--skip-publish');
    const projects = folders.flatMap((parent) => readdirSync(join(folder, parent)).map((name) => `${parent}/${name}`));
    const manifests = projects
      .filter((project) => project !== 'libs/stages')
      .map((project) => manifest(`${project}/package.json`));
    expect(new Set(manifests.map(({ version }) => version))).toEqual(new Set([next]));
    for (const { dependencies = {} } of manifests) {
      for (const [name, version] of Object.entries(dependencies))
        if (name.startsWith('@infalign/')) expect(version).toBe(next);
    }
    expect(manifest('package-lock.json').packages['libs/infalign'].version).toBe(next);
    expect(read('CHANGELOG.md')).toMatch(
      new RegExp(`^## ${next.replaceAll('.', '\\.')} .*Rollouts can be kept\\..*## 0\\.1\\.0`, 's'),
    );
    expect(readdirSync(join(folder, '.nx', 'version-plans'))).toEqual([]);
    expect(git('tag').trim()).toBe(`v${next}`);
    expect(git('log', '-1', '--format=%s').trim()).toBe(`Release ${next}`);
    expect(git('status', '--porcelain')).toBe('');
  });
});
