import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CalibratedRollout } from '@infalign/contracts';
import type { Topic } from '@infalign/rollout-stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { kafkaAvailable } from '../../../../tools/kafka/index.mjs';
import { newTestFolder, startInfalign, type Outcome } from '../program.fixture.js';
import { servicesOptions } from '../services-options.js';

const availability = kafkaAvailable();
if (!availability.ok && process.env.CI !== undefined) {
  throw new Error(`services cannot be tested: ${availability.missing.join(' ')}`);
}
if (!availability.ok) process.stderr.write(`left out, the tests of services: ${availability.missing.join(' ')}\n`);

const folder = newTestFolder();
const file = folder.write(
  'tiny.yaml',
  `
name: tiny
seed: 3
dataset: {kind: state-of-the-union}
prompts: {tokens: 8, train: 16, calibration: 8, evaluation: 8}
tokenizer: {vocabulary: 400}
model: {hidden_size: 32, intermediate_size: 64, layers: 1, heads: 2, key_value_heads: 1, context: 32,
  training: {steps: 60, batch: 16, window: 24, warmup_steps: 5, learning_rate: 5e-3}}
reward_model: {pairs: 24, held_out_pairs: 8}
judge: {pairs: 24, held_out_pairs: 8, model: {hidden_size: 48, intermediate_size: 96, layers: 1, heads: 2, key_value_heads: 1,
  context: 32, training: {steps: 20, batch: 8, window: 24, warmup_steps: 5}}}
sampling: {max_response_tokens: 16}
calibration: {references: 16}
runs: {methods: ["ppo/exp:5"], target_kls: [0.2]}
procedures: [standard, "bon:4"]
ppo: {iterations: 3, prompts_per_iteration: 8, rollouts_per_prompt: 4, advantages: value}
evaluation: {samples: 8, bootstrap_resamples: 200}
stream: {partitions: 6}
`,
);
const up = folder.path('services');
const services = join(up, 'services.yaml');

/** Runs the program to its end. */
async function infalign(...args: readonly string[]): Promise<Outcome> {
  return await startInfalign(args, folder.temporaryFolder).ended;
}

/** What the same seed must give again. */
function reproducible(out: string): unknown {
  const results = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Record<string, unknown>;
  delete results.machine;
  delete results.times;
  return results;
}

/** What identifies each calibrated rollout, and all there is to it, rewards to the last bit. */
function byId(rollouts: readonly CalibratedRollout[]): Map<string, CalibratedRollout> {
  return new Map(rollouts.map((rollout) => [rollout.scored!.rollout!.rolloutId, rollout]));
}

/** The calibrated rollouts in the embedded log of a policy's run. */
async function calibratedHere(out: string): Promise<Map<string, CalibratedRollout>> {
  const { isPoison, openEmbeddedStream, topics } = await import('@infalign/rollout-stream');
  const [run] = readdirSync(join(out, 'runs'));
  const stream = openEmbeddedStream(join(out, 'runs', run!, 'log'), { partitions: 6 });
  try {
    const rollouts: CalibratedRollout[] = [];
    const beginnings = await stream.startOffsets(topics.rolloutCalibrated);
    for await (const record of stream.readAll(topics.rolloutCalibrated, beginnings)) {
      if (!isPoison(record)) rollouts.push(record.value);
    }
    return byId(rollouts);
  } finally {
    await stream.close();
  }
}

/** The same out of a broker. */
async function calibratedOnServices(servicesFile: string, out: string): Promise<Map<string, CalibratedRollout>> {
  const replayed = await infalign('replay', 'rollout.calibrated', '--out', out, '--services', servicesFile);
  expect(replayed).toMatchObject({ code: 0 });
  const lines = readdirSync(out).flatMap((name) => readFileSync(join(out, name), 'utf8').trim().split('\n'));
  const records = lines.filter((line) => line !== '').map((line) => JSON.parse(line) as { value: CalibratedRollout });
  return byId(records.map(({ value }) => value));
}

interface Status {
  processes: { title: string; alive: boolean; restarts: number; pid: number }[];
  deadLetters: unknown[];
  runs: { runId: string; state: string; iteration: number }[];
}

describe.skipIf(!availability.ok)('services on one machine', { timeout: 600_000 }, () => {
  let started: Outcome;

  beforeAll(async () => {
    started = await infalign('up', '--folder', up, '--replicas', 'policy-sampler=2,reward-scorer=2', '--json');
  }, 300_000);

  afterAll(async () => {
    await infalign('down', '--folder', up);
    folder.remove();
  }, 120_000);

  it('are up when the command ends, and not started twice', async () => {
    expect(started.stderr).not.toContain('infalign:');
    expect(started.code).toBe(0);
    const again = await infalign('up', '--folder', up);
    expect(again.code).toBe(1);
    expect(again.stderr).toContain('are up already');
    // Any port from 32768 may be that of an outgoing connection when a service wants to listen there (Linux).
    const { processes } = JSON.parse(started.stdout) as { processes: { address: string; replica: number }[] };
    const ports = processes
      .filter(({ replica }) => replica === 1)
      .map(({ address }) => Number(address.split(':').at(-1)));
    expect(Math.max(...ports)).toBeLessThan(32_768);
  });

  it('give an experiment the same results as one process, byte for byte, with two samplers and two scorers', async () => {
    const here = folder.path('here');
    const onServices = folder.path('on-services');
    expect(await infalign('run', file, '--out', here)).toMatchObject({ code: 0 });
    const outcome = await infalign('run', file, '--out', onServices, '--on', 'services', '--services', services);
    expect(outcome).toMatchObject({ code: 0 });
    expect(reproducible(onServices)).toEqual(reproducible(here));
  });

  it('are shown with their runs, and with what they could not use', async () => {
    const { stdout } = await infalign('status', '--folder', up, '--json');
    const status = JSON.parse(stdout) as Status;
    expect(status.processes).toHaveLength(7);
    expect(status.processes.every(({ alive, restarts }) => alive && restarts === 0)).toBe(true);
    expect(status.deadLetters).toEqual([]);
    const run = status.runs.find(({ runId }) => runId.includes('/runs/'))!;
    expect(run).toMatchObject({ state: 'finished', iteration: 3 });
    const text = await infalign('status', '--folder', up);
    expect(text.stdout).toContain('No dead letters.');
    // As where somebody else has started them.
    const elsewhere = await infalign('status', '--services', services, '--json');
    expect(elsewhere.code).toBe(0);
    expect(JSON.parse(elsewhere.stdout)).toEqual({ ...status, processes: undefined });
    expect((await infalign('status', '--services', services, '--folder', up)).stderr).toContain('cannot be used with');
  });

  it('have topics that can be looked at and read into files', async () => {
    const tail = await infalign(
      'tail',
      'evaluation.results',
      '--records',
      '1000',
      '--no-follow',
      '--services',
      services,
    );
    const results = tail.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { value: { promptId: string } });
    expect(new Set(results.map(({ value }) => value.promptId)).size).toBe(8);
    expect(results).toHaveLength(8);

    const out = folder.path('versions');
    const replay = await infalign('replay', 'policy.versions', '--out', out, '--services', services, '--json');
    // The base policy of two reference runs and of the policy's run, and its three iterations.
    expect(JSON.parse(replay.stdout)).toMatchObject({ topic: 'policy.versions', records: 6 });
    expect(existsSync(join(out, '5.jsonl'))).toBe(true);
    const refused = await infalign('replay', 'policy.versions', '--out', out, '--services', services);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('is not empty');
    expect((await infalign('tail', 'no.such.topic', '--services', services)).stderr).toContain('there is no topic');
  });

  it('have records that cannot be decoded: tail shows the reason, and replay ends at the first, naming the place', async () => {
    const file = folder.write(
      'undecodable.yaml',
      readFileSync(services, 'utf8').replace('partitions: 6', "partitions: 1\n  prefix: 'undecodable.'"),
    );
    const { openStream } = await import('@infalign/services');
    const { outgoing, topics } = await import('@infalign/rollout-stream');
    const settings = await servicesOptions(file);
    const stream = await openStream('somebody-else', settings.services, settings.logger);
    const noRollouts: Topic<string> = {
      name: topics.rolloutScored.name,
      compacted: false,
      key: String,
      codec: { encode: (text) => Buffer.from(text), decode: String },
    };
    await stream.append(['no', 'rollout'].map((text) => outgoing(noRollouts, text)));
    await stream.close();

    const tail = await infalign('tail', 'rollout.scored', '--records', '10', '--no-follow', '--services', file);
    expect(tail).toMatchObject({ code: 0 });
    const lines = tail.stdout.trim().split('\n');
    const shown = lines.map((line) => JSON.parse(line) as { offset: number; reason: string; payload: string });
    expect(shown.map(({ payload }) => Buffer.from(payload, 'base64').toString())).toEqual(['no', 'rollout']);
    expect(shown.every(({ reason }) => reason !== '')).toBe(true);
    const out = folder.path('undecodable');
    const replay = await infalign('replay', 'rollout.scored', '--out', out, '--services', file);
    expect(replay).toMatchObject({ code: 1, stdout: '' });
    expect(replay.stderr).toMatch(/^infalign: rollout\.scored, partition 0, offset \d+: cannot be decoded: .*--from/);
  });

  it('have topics that can be made before any service is there, and are checked', async () => {
    const ofTwo = folder.write(
      'two.yaml',
      readFileSync(services, 'utf8').replace('partitions: 6', "partitions: 2\n  prefix: 'made-before.'"),
    );
    for (const attempt of ['made', 'found']) {
      const made = await infalign('topics', '--services', ofTwo, '--json');
      expect(made, attempt).toMatchObject({ code: 0 });
      const { partitions, topics } = JSON.parse(made.stdout) as { partitions: number; topics: string[] };
      expect(partitions).toBe(2);
      expect(topics).toContain('made-before.rollout.scored.dead-letter');
      expect(topics).toHaveLength(20);
    }
    expect((await infalign('tail', 'rollout.scored', '--no-follow', '--services', ofTwo)).code).toBe(0);
    const ofThree = folder.write('three.yaml', readFileSync(ofTwo, 'utf8').replace('partitions: 2', 'partitions: 3'));
    const refused = await infalign('topics', '--services', ofThree);
    expect(refused).toMatchObject({ code: 1, stdout: '' });
    expect(refused.stderr).toContain('the topics have 2 partitions');
    expect(refused.stderr).toContain('set stream.partitions: 2');
  });

  it('are replaced one after another, and go on with what was there', async () => {
    const processesOf = async () =>
      (JSON.parse((await infalign('status', '--folder', up, '--json')).stdout) as Status).processes;
    const before = await processesOf();
    const { code, stdout, stderr } = await infalign('upgrade', '--folder', up);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const titles = stdout.split('\n').map((line) => /^[a-z-]+ \d(?=: )/.exec(line)?.[0]);
    expect(titles.slice(0, 7)).toEqual([
      'ppo-learner 1',
      'evaluator 1',
      'calibrator 1',
      'reward-scorer 1',
      'reward-scorer 2',
      'policy-sampler 1',
      'policy-sampler 2',
    ]);
    const after = await processesOf();
    expect(after.map(({ alive, restarts }) => [alive, restarts])).toEqual(after.map(() => [true, 1]));
    expect(after.filter(({ pid }) => before.some((each) => each.pid === pid))).toEqual([]);
    const elsewhere = await infalign('upgrade', '--folder', folder.path('elsewhere'));
    expect(elsewhere).toMatchObject({ code: 1, stdout: '' });
    expect(elsewhere.stderr).toContain('no services are up');
  });

  it('are rolled back by a command that tells what cannot be, and backed up by one', async () => {
    const runId = (JSON.parse((await infalign('status', '--folder', up, '--json')).stdout) as Status).runs.find((run) =>
      run.runId.includes('/runs/'),
    )!.runId;
    const rollback = (run: string, to: string) => infalign('rollback', run, '--to', to, '--services', services);
    expect((await rollback(runId, '1')).stderr).toContain('is finished, with version 3 as its result');
    expect((await rollback('nobody', '1')).stderr).toContain('the services: run "nobody" is not known');
    expect((await rollback(runId, 'latest')).stderr).toContain('--to must be a whole number');
    const out = folder.path('backup.jsonl');
    const backup = await infalign('backup', '--out', out, '--services', services, '--json');
    expect(JSON.parse(backup.stdout)).toEqual({ file: out, runs: 3, policyVersions: 6, calibrationStates: 16 + 8 + 8 });
    const restore = await infalign('restore', '--from', out, '--services', services);
    expect(restore).toMatchObject({ code: 1, stdout: '' });
    expect(restore.stderr).toContain('hold 3 runs already');
    expect((await infalign('restore', '--from', up, '--services', services)).stderr).toContain(
      'cannot be read (EISDIR)',
    );
  });

  it('refuse an experiment with another number of partitions, saying what to set', async () => {
    const other = folder.write('other.yaml', readFileSync(file, 'utf8').replace('partitions: 6', 'partitions: 4'));
    const outcome = await infalign(
      'run',
      other,
      '--out',
      folder.path('other'),
      '--on',
      'services',
      '--services',
      services,
    );
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toContain('set stream.partitions: 6');
  });

  it('give the same rollouts and the same rewards, bit for bit, with one of each service', async () => {
    const withTwo = await calibratedOnServices(services, folder.path('calibrated-by-two'));
    const single = folder.path('single');
    const singleServices = join(single, 'services.yaml');
    const onSingle = folder.path('on-single');
    try {
      expect(await infalign('up', '--folder', single)).toMatchObject({ code: 0 });
      const outcome = await infalign('run', file, '--out', onSingle, '--on', 'services', '--services', singleServices);
      expect(outcome).toMatchObject({ code: 0 });
      expect(reproducible(onSingle)).toEqual(reproducible(folder.path('here')));
      const withOne = await calibratedOnServices(singleServices, folder.path('calibrated-by-one'));
      // 3 iterations of 8 prompts with 4 rollouts each, all of them learned from.
      expect(withOne.size).toBe(3 * 8 * 4);
      expect(withOne).toEqual(withTwo);
      expect(withOne).toEqual(await calibratedHere(folder.path('here')));
    } finally {
      await infalign('down', '--folder', single);
    }
  });

  it('end when they are told to, and leave no process behind', async () => {
    const { stdout } = await infalign('status', '--folder', up, '--json');
    const { processes } = JSON.parse(stdout) as Status;
    expect((await infalign('down', '--folder', up)).stdout).toBe('The services have ended.\n');
    for (const { pid } of processes) expect(() => process.kill(pid, 0)).toThrow('ESRCH');
    expect((await infalign('down', '--folder', up)).stdout).toContain('no services are up');
  });
});
