import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kafkaAvailable } from '../kafka/index.mjs';
import { freePorts } from '../kafka/ports.mjs';
import { serviceNames, startFiveServices } from '../services/five-services.mjs';
import { carryOut } from '../services/real-run.mjs';
import { storeTinyCheckpoints } from '../services/tiny-experiment.mjs';
import { buildWorkspace } from '../workspace/install.mjs';
import { assemble } from './assembled.mjs';
import { carryOutCopies, containersAvailable, runInContainer, startInContainer } from './container.mjs';
import { programsOf, stagesOf } from './dockerfile.mjs';

const [, last] = stagesOf('apps/policy-sampler/Dockerfile');
const runtime = stagesOf('infra/images/Dockerfile').find(({ name }) => name === 'runtime');
const { entrypoint, healthCheck } = programsOf(last);
const here = containersAvailable() && kafkaAvailable().ok;

describe.runIf(here)("a container of the policy-sampler's image", () => {
  const folder = mkdtempSync(join(tmpdir(), 'infalign-image-'));
  /** @type {import('../services/five-services.mjs').FiveServices} */
  let world;
  let container;
  let sampler;
  let log = '';

  beforeAll(async () => {
    buildWorkspace();
    assemble(join(folder, 'assembled'), ['policy-sampler', 'service-health']);
    const image = join(folder, 'image');
    carryOutCopies(last, join(folder, 'assembled'), image);
    const [port] = await freePorts(1);
    world = await startFiveServices({ partitions: 1, names: serviceNames.filter((name) => name !== 'policy-sampler') });
    await storeTinyCheckpoints(join(world.store, 'tiny'));
    const settings = JSON.parse(readFileSync(world.configFile, 'utf8'));
    settings.services.policy_sampler.port = port;
    const config = join(folder, 'config');
    mkdirSync(config);
    writeFileSync(join(config, 'services.yaml'), JSON.stringify({ ...settings, store: '/mnt/checkpoints' }));
    const root = join(folder, 'root');
    mkdirSync(root);
    const volumes = { '/etc/infalign:ro': config, '/mnt/checkpoints:ro': world.store };
    container = { runtime, image, root, volumes };
    // One that is not there does not run in the container of another.
    expect((await runInContainer(container, healthCheck)).code).toBe(1);
    sampler = startInContainer(container, entrypoint);
    for (const stream of [sampler.stdout, sampler.stderr]) stream.on('data', (text) => (log += text));
  }, 300_000);

  afterAll(async () => {
    if (sampler && sampler.exitCode === null) sampler.kill('SIGKILL');
    await world?.stop();
    world?.remove();
    rmSync(folder, { recursive: true, force: true });
  }, 60_000);

  it('says that it is healthy', async () => {
    await expect.poll(() => runInContainer(container, healthCheck), { timeout: 60_000 }).toMatchObject({ code: 0 });
  });

  it('runs as a user that may write nowhere but to temporary files', async () => {
    const program = `
      const { writeFileSync } = require('node:fs');
      const outcome = ['/', '/opt/infalign/', '/var/lib/infalign/', '/mnt/checkpoints/', '/tmp/'].map((folder) => {
        try { writeFileSync(folder + 'x', ''); return folder; } catch (error) { return error.code; }
      });
      console.log(process.getuid(), process.getgid(), ...outcome);`;
    const { output } = await runInContainer(container, ['/usr/bin/env', 'node', '-e', program]);
    expect(output).toBe('1000 1000 EROFS EROFS EROFS EROFS /tmp/\n');
  });

  it('samples for an experiment that the other services carry out', async () => {
    const stream = { partitions: 1 };
    await carryOut(world, stream, { name: 'image', checkpoints: 'tiny', seconds: 120 });
    expect(log).toContain('listening on');
  }, 150_000);

  it('ends at SIGTERM with 0', async () => {
    const ended = new Promise((resolve) => sampler.on('exit', resolve));
    sampler.kill('SIGTERM');
    expect(await ended).toBe(0);
  });
});
