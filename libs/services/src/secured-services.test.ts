import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { CalibratorServiceService, EvaluatorServiceService, PpoLearnerServiceService } from '@infalign/contracts';
import { createRpcClient, noRetry, type ClientTls, type RpcClient } from '@infalign/rpc';
import { openKafkaStream, topics } from '@infalign/rollout-stream';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { allOf, begin, clientsOf, evaluated, watched, type Clients } from './experiment.fixture.js';
import { partitions } from './tiny-store.fixture.js';
import { describeWithKafka, type RunningProgram, type ServiceTitle } from './workplace.fixture.js';

const method = (name: string) => `infalign.v1.${name}`;
const iterations = 6;

describeWithKafka('services with mTLS and tokens over Kafka with TLS and SCRAM', (workplace) => {
  let configFile: string;
  let programs: Record<ServiceTitle, RunningProgram>;
  let operator: Clients;
  /** Every program that was started here. */
  const started: RunningProgram[] = [];
  const tokens = { operator: newToken(), dashboard: newToken(), stranger: newToken() };

  beforeAll(async () => {
    const { cluster, servicesFile, startAll } = workplace();
    const password_file = file('password', cluster.scram.password);
    const tokensFile = {
      tokens: [
        { name: 'operator', file: file('operator', tokens.operator), allow: ['*'] },
        // Of this one, the services know no more than the hash.
        { name: 'dashboard', sha256: sha256(tokens.dashboard), allow: [method('PpoLearnerService/GetRun')] },
      ],
    };
    file('dashboard', tokens.dashboard);
    file('stranger', tokens.stranger);
    const { ca, clientCert, clientKey } = cluster.tls;
    configFile = servicesFile('secured.yaml', {
      stream: {
        brokers: cluster.brokers.saslTls,
        partitions,
        tls: { ca_file: ca },
        sasl: { username: cluster.scram.username, password_file },
      },
      // The cluster's authority has certified this for 127.0.0.1: it is good enough for services, too.
      rpc: {
        tls: { certificate_file: clientCert, key_file: clientKey, client_ca_file: ca },
        tokens_file: file('tokens.json', JSON.stringify(tokensFile)),
      },
      log_level: 'debug',
      drain_seconds: 5,
    });
    programs = await startAll(configFile);
    started.push(...Object.values(programs));
    operator = await clientsOf(programs, { tls: certified(), tokenFile: place('operator') });
  }, 240_000);

  afterAll(() => operator?.close());

  const place = (name: string): string => join(workplace().folder, name);

  function file(name: string, content: string): string {
    writeFileSync(place(name), content, { mode: 0o600 });
    return place(name);
  }

  function certified(): ClientTls {
    const { ca, clientCert, clientKey } = workplace().cluster.tls;
    return { caFile: ca, certificateFile: clientCert, keyFile: clientKey };
  }

  /** A client of the learner that is not tried again, and ends with the test. */
  async function learner(
    tls: ClientTls | undefined,
    token?: string,
  ): Promise<RpcClient<typeof PpoLearnerServiceService>> {
    const client = createRpcClient(PpoLearnerServiceService, {
      address: await programs['ppo-learner'].address,
      retry: noRetry,
      ...(tls && { tls }),
      ...(token !== undefined && { tokenFile: place(token) }),
    });
    onTestFinished(() => client.close());
    return client;
  }

  it('carry out an experiment for whoever has certificate and token', async () => {
    const { policy } = await begin(operator, 'secured', 1);
    expect(await watched(operator, policy)).toHaveLength(1);
    expect(await evaluated(operator, policy, 1)).toHaveLength(3);
  });

  it('refuse whoever has no client certificate, whatever the token, before any call', async () => {
    const { ca } = workplace().cluster.tls;
    for (const client of [await learner({ caFile: ca }, 'operator'), await learner(undefined, 'operator')]) {
      await expect(client.getRun({ runId: 'r' })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    }
    expect(programs['ppo-learner'].standardError()).not.toContain('"caller":"anonymous"');
  });

  it('refuse calls without a token, and with one that they do not know, as UNAUTHENTICATED', async () => {
    for (const token of [undefined, 'stranger']) {
      await expect((await learner(certified(), token)).getRun({ runId: 'r' })).rejects.toMatchObject({
        code: 'UNAUTHENTICATED',
        reason: 'TOKEN_REQUIRED',
        remedy: expect.stringContaining('send `authorization') as string,
      });
    }
  });

  it('let each token call what it is allowed to, and no more', async () => {
    const dashboard = await learner(certified(), 'dashboard');
    await expect(dashboard.getRun({ runId: 'r' })).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'RUN_UNKNOWN' });
    await expect(dashboard.stopRun({ runId: 'r' })).rejects.toMatchObject({
      code: 'PERMISSION_DENIED',
      reason: 'METHOD_NOT_ALLOWED',
      metadata: { caller: 'dashboard' },
      remedy: expect.stringContaining('allow the method') as string,
    });
    const others = { tls: certified(), tokenFile: place('dashboard'), retry: noRetry };
    const calibrator = createRpcClient(CalibratorServiceService, {
      ...others,
      address: await programs.calibrator.address,
    });
    onTestFinished(() => calibrator.close());
    const references = calibrator.fitCalibration({ references: [] });
    await expect(references).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });

  it('finish what is under way when they are told to end, and lose nothing: started again, they go on', async () => {
    const undisturbed = await begin(operator, 'undisturbed', iterations);
    const expected = await watched(operator, undisturbed.policy);
    const { policy } = await begin(operator, 'disturbed', iterations);
    const restarted: readonly ServiceTitle[] = ['policy-sampler', 'reward-scorer', 'calibrator', 'ppo-learner'];
    await vi.waitUntil(async () => (await operator.learner.getRun({ runId: policy })).state!.latest!.version >= 2, {
      timeout: 60_000,
      interval: 20,
    });
    for (const title of restarted) programs[title].signal('SIGTERM');
    const codes = await Promise.all(restarted.map((title) => programs[title].ended));
    expect(codes).toEqual([0, 0, 0, 0]);
    operator.close();
    for (const title of restarted) {
      programs[title] = workplace().start(title, configFile);
      started.push(programs[title]);
    }
    operator = await clientsOf(programs, { tls: certified(), tokenFile: place('operator') });
    expect(expected).toHaveLength(iterations);
    // The same numbers from the same seed: each rollout was sampled, scored, calibrated and learned from once.
    expect(await watched(operator, policy)).toEqual(expected);
    const { versions } = await operator.sampler.listPolicyVersions({ runId: policy });
    expect(versions.map(({ version }) => version)).toEqual(Array.from({ length: iterations + 1 }, (_, index) => index));
    const ids = await rolloutIds(policy);
    expect(new Set(ids).size).toBe(ids.length);
  });

  /** Of the rollouts of a run that were calibrated. */
  async function rolloutIds(runId: string): Promise<string[]> {
    const { cluster } = workplace();
    const stream = await openKafkaStream({ brokers: cluster.brokers.plaintext, clientId: 'test', partitions });
    const ids: string[] = [];
    for await (const { value } of stream.readAll(topics.rolloutCalibrated)) {
      const { rollout } = value.scored!;
      if (rollout!.runId === runId) ids.push(rollout!.rolloutId);
    }
    await stream.close();
    return ids;
  }

  it('answer a call that is under way when they are told to end, take no other, and end with 0', async () => {
    // Each takes some ten milliseconds.
    const kls = Array.from({ length: 40 }, (_, index) => index / 20);
    const { evaluator } = operator;
    let points = 0;
    for await (const { kl } of evaluator.streamFrontier({ procedure: 'bon:4', kls })) {
      expect(kl).toBe(kls[points++]);
      if (points === 1) programs.evaluator.signal('SIGTERM');
      if (points !== 20) continue;
      const client = createRpcClient(EvaluatorServiceService, {
        address: await programs.evaluator.address,
        tls: certified(),
        tokenFile: place('operator'),
        retry: noRetry,
      });
      const other = client.streamFrontier({ procedure: 'bon:4', kls })[Symbol.asyncIterator]();
      await expect(other.next()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      client.close();
    }
    expect(points).toBe(kls.length);
    expect(await programs.evaluator.ended).toBe(0);
  });

  it('end calls that follow a run when they are told to end, and end with 0', async () => {
    const { policy } = await begin(operator, 'watched', 100_000);
    const statistics = operator.learner.watchRun({ runId: policy }, { retry: noRetry })[Symbol.asyncIterator]();
    await statistics.next();
    programs['ppo-learner'].signal('SIGTERM');
    await expect(allOf({ [Symbol.asyncIterator]: () => statistics })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(await programs['ppo-learner'].ended).toBe(0);
  });

  it('show no secret in what they write, nor in the list of processes', () => {
    const { scram, tls } = workplace().cluster;
    const secrets = [scram.password, ...Object.values(tokens), ...keyLines(tls.clientKey)];
    const alive = Object.values(programs).filter(({ pid }) => isAlive(pid));
    expect(alive.length).toBeGreaterThan(2);
    const shown = [
      ...started.flatMap((program) => [program.standardOutput(), program.standardError()]),
      ...alive.map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, 'utf8')),
    ];
    expect(started.map(({ standardError }) => standardError().length > 1000)).not.toContain(false);
    for (const secret of secrets) {
      expect(secret.length).toBeGreaterThan(8);
      const forms = [secret, Buffer.from(secret).toString('base64'), Buffer.from(secret).toString('hex')];
      for (const text of shown) expect(forms.filter((form) => text.includes(form))).toEqual([]);
    }
  });

  it('do not start where calls would go unencrypted over a network, and say what to do', async () => {
    const plain = workplace().servicesFile('off-loopback.yaml', { rpc: { host: '0.0.0.0' }, log_level: 'warn' });
    const program = workplace().start('calibrator', plain);
    expect(await program.ended).toBe(1);
    expect(program.standardOutput()).toBe('');
    expect(program.standardError()).toBe(
      'calibrator: will not listen on 0.0.0.0 without TLS: calls and tokens could be read on the network; give ' +
        'certificates, or set plaintext to allow-off-loopback where the network is otherwise protected\n',
    );
  });
});

function newToken(): string {
  return randomBytes(32).toString('hex');
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** What a private key says that is secret, line by line. */
function keyLines(file: string): string[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line.length > 20 && !line.startsWith('-'));
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
