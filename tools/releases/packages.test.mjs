import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from '../workspace/workspace.mjs';

const packages = readdirSync(join(root, 'libs'))
  .map((name) => ({ name, manifest: manifestOf(`libs/${name}`) }))
  .filter(({ manifest }) => manifest && manifest.private !== true);

function manifestOf(folder) {
  try {
    return JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
  } catch {
    return undefined;
  }
}

function run(command, args, cwd) {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 2] });
}

it('three packages are published: the mathematics, the graphs and the contracts', () => {
  expect(packages.map(({ manifest }) => manifest.name)).toEqual([
    '@infalign/contracts',
    '@infalign/core',
    '@infalign/tensor-graph',
  ]);
});

describe.each(packages)('$manifest.name', ({ name, manifest }) => {
  it('says where it is from, and that its provenance is published, and has its license in it', () => {
    expect(manifest.publishConfig).toEqual({ access: 'public', provenance: true });
    expect(manifest.repository).toMatchObject({ type: 'git', directory: `libs/${name}` });
    expect(manifest.engines).toEqual(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')).engines);
    const license = (folder) => readFileSync(join(root, folder, 'LICENSE'), 'utf8');
    expect(license(`libs/${name}`)).toBe(license('.'));
  });

  it('depends on nothing that is not published', () => {
    const published = packages.map((each) => each.manifest.name);
    const ours = Object.keys(manifest.dependencies ?? {}).filter((each) => each.startsWith('@infalign/'));
    expect(published).toEqual(expect.arrayContaining(ours));
  });
});

describe('packages installed in an empty folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'infalign-packages-'));
  const files = {};

  beforeAll(() => {
    const projects = packages.map(({ name }) => `libs/${name}/tsconfig.lib.json`);
    run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '--build', ...projects], root);
    for (const { name, manifest } of packages) {
      const [packed] = JSON.parse(
        run('npm', ['pack', '--json', '--pack-destination', folder], join(root, 'libs', name)),
      );
      files[manifest.name] = packed;
    }
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
    const archives = Object.values(files).map(({ filename }) => `./${filename}`);
    run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', ...archives], folder);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('have what is built, its sources, a word on what it is, and no tests', () => {
    for (const { files: entries } of Object.values(files)) {
      const paths = entries.map(({ path }) => path);
      expect(paths).toEqual(
        expect.arrayContaining([
          'LICENSE',
          'README.md',
          'package.json',
          'dist/index.js',
          'dist/index.d.ts',
          'src/index.ts',
        ]),
      );
      expect(paths.filter((path) => /test|fixture|tsbuildinfo/.test(path))).toEqual([]);
    }
  });

  it('work as their pages say', () => {
    for (const name of ['@infalign/core', '@infalign/contracts']) {
      const page = readFileSync(join(folder, 'node_modules', name, 'README.md'), 'utf8');
      const [, example] = /```ts\n(.*?)```/s.exec(page);
      const last = name === '@infalign/core' ? 'calibrated' : 'name';
      writeFileSync(join(folder, 'example.mjs'), `${example}\nconsole.log(${last});\n`);
      expect(run(process.execPath, ['example.mjs'], folder)).toBe(
        name === '@infalign/core' ? '0.75\n' : 'policies/7\n',
      );
    }
    const graphs =
      "import { Graph, square } from '@infalign/tensor-graph'; console.log(square(new Graph().input('x', 'float32', [2])).shape);";
    expect(run(process.execPath, ['--input-type=module', '--eval', graphs], folder)).toBe('[ 2 ]\n');
  });

  it('have types, which say what is wrong', () => {
    const program = (reward) => `
      import { calibrateReward, sortedReferences } from '@infalign/core';
      import { CheckpointReference } from '@infalign/contracts';
      import { Graph } from '@infalign/tensor-graph';
      export const share: number = calibrateReward(${reward}, sortedReferences([0, 1]));
      export const reference: CheckpointReference = CheckpointReference.decode(new Uint8Array());
      export const graph: Graph = new Graph();`;
    writeFileSync(join(folder, 'right.ts'), program('0.5'));
    writeFileSync(join(folder, 'wrong.ts'), program("'0.5'"));
    const options = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--skipLibCheck'];
    const tsc = (file) => {
      try {
        return run(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), ...options, file], folder);
      } catch (error) {
        return error.stdout;
      }
    };
    expect(tsc('right.ts')).toBe('');
    expect(tsc('wrong.ts')).toMatch(/^wrong\.ts\(5,\d+\): error TS2345/);
  });
});
