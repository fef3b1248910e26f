import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, credentials, makeGenericClientConstructor } from '@grpc/grpc-js';
import { RewardScorerServiceService } from '@infalign/contracts';
import { service as healthDefinition } from 'grpc-health-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import { makeAuthority } from './certificates.fixture.js';
import { createRpcClient } from './client.js';
import { bytesField, wireFields } from './protobuf-wire.js';
import { noRetry } from './retry.js';
import { evaluator, scorer, serve, signalled, thrownBy } from './rpc.fixture.js';

const scorerName = 'infalign.v1.RewardScorerService';
const evaluatorName = 'infalign.v1.EvaluatorService';

/** gRPC's own client of health, as a probe has it. */
function healthClient(address: string) {
  const HealthClient = makeGenericClientConstructor(healthDefinition, 'Health');
  const client = new HealthClient(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  const check = (service: string) =>
    new Promise<string>((resolve) => {
      const method = client['Check'] as (
        request: object,
        callback: (error: Error | null, response: { status: string }) => void,
      ) => void;
      method.call(client, { service }, (error, response) => resolve(error?.message ?? response.status));
    });
  const watch = (service: string, onStatus: (status: string) => void, onEnd: () => void) => {
    const method = client['Watch'] as (request: object) => NodeJS.ReadableStream;
    method
      .call(client, { service })
      .on('data', ({ status }: { status: string }) => onStatus(status))
      .on('error', () => undefined)
      .on('end', onEnd);
  };
  return { check, watch };
}

describe('health', () => {
  it('is known of each service, and of all', async () => {
    const server = await serve({ services: [scorer(), evaluator()] });
    const { check } = healthClient(server.address);
    expect(await Promise.all(['', scorerName, evaluatorName].map(check))).toEqual(['SERVING', 'SERVING', 'SERVING']);
    expect(await check('infalign.v1.NoService')).toMatch('NOT_FOUND');
    // What is said of it fits into the headers of the answer.
    const [long, other] = await Promise.all([check('x'.repeat(300_000)), check('')]);
    expect(long).toMatch('NOT_FOUND');
    expect(other).toMatch('SERVING');
    server.setServing(scorerName, false);
    expect(await Promise.all(['', scorerName, evaluatorName].map(check))).toEqual([
      'NOT_SERVING',
      'NOT_SERVING',
      'SERVING',
    ]);
    server.setServing(scorerName, true);
    expect(await check('')).toBe('SERVING');
    expect(() => server.setServing('infalign.v1.Typo', true)).toThrow('infalign.v1.Typo is none of');
  });

  it('is not serving from the start where the service must first load', async () => {
    const server = await serve({ services: [scorer()], serving: false });
    const { check } = healthClient(server.address);
    expect(await check(scorerName)).toBe('NOT_SERVING');
  });

  it('is told to watchers as it changes, and at last as the server drains, which does not wait for them', async () => {
    const server = await serve({ services: [scorer()] });
    const { watch } = healthClient(server.address);
    const seen: string[] = [];
    const changes = [signalled(), signalled(), signalled()];
    const ended = signalled();
    const onStatus = (status: string) => changes[seen.push(status) - 1]?.resolve();
    watch(scorerName, onStatus, ended.resolve);
    await changes[0]?.promise;
    server.setServing(scorerName, false);
    await changes[1]?.promise;
    server.setServing(scorerName, true);
    await changes[2]?.promise;
    await server.drain(3_600_000);
    await ended.promise;
    expect(seen).toEqual(['SERVING', 'NOT_SERVING', 'SERVING', 'NOT_SERVING']);
  });

  it('has a port of its own for probes that have neither certificate nor token, where nothing else is served', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'health-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const authority = makeAuthority(folder, 'authority');
    const begun = signalled();
    const release = signalled();
    const service = scorer({
      listRewardModels: async () => {
        begun.resolve();
        await release.promise;
        return { models: [] };
      },
    });
    const tls = { ...authority.issue('server'), clientCaFile: authority.caFile };
    const server = await serve({ services: [service], tls, healthPort: 0 });
    const address = `127.0.0.1:${server.healthPort}`;
    const { check } = healthClient(address);
    expect(await check('')).toBe('SERVING');
    expect(await check(scorerName)).toBe('SERVING');
    const plain = createRpcClient(RewardScorerServiceService, { address, retry: noRetry });
    onTestFinished(() => plain.close());
    expect(await thrownBy(plain.listRewardModels({}))).toMatchObject({ code: 'UNIMPLEMENTED' });
    // Probes see a service that drains until the last call has ended.
    const certified = { caFile: authority.caFile, ...authority.issue('client') };
    const client = createRpcClient(RewardScorerServiceService, { address: server.address, tls: certified });
    onTestFinished(() => client.close());
    const running = client.listRewardModels({});
    await begun.promise;
    const drained = server.drain(60_000);
    expect(await check('')).toBe('NOT_SERVING');
    release.resolve();
    await running;
    await drained;
    expect(await check('')).toMatch('UNAVAILABLE');
  });

  it('refuses to share that port with another server', async () => {
    const first = await serve({ services: [scorer()], healthPort: 0 });
    await expect(serve({ services: [scorer()], healthPort: first.healthPort! })).rejects.toThrow(
      `127.0.0.1:${first.healthPort}: cannot listen there`,
    );
  });
});

describe('reflection', () => {
  it.each(['v1', 'v1alpha'])('by %s lists what is served, and health', async (version) => {
    const server = await serve({ services: [scorer(), evaluator()] });
    const [list] = await reflect(server.address, version, [bytesField(7, '*')]);
    const names = embedded(list, 6, 1).map((service) => embedded(service, 1).join());
    expect(names.sort()).toEqual(['grpc.health.v1.Health', evaluatorName, scorerName].sort());
  });

  it('describes every service, with all that its messages are made of', async () => {
    const server = await serve({ services: [scorer(), evaluator()] });
    const symbols = [scorerName, evaluatorName, 'grpc.health.v1.Health', `${scorerName}.Score`];
    const answers = await reflect(
      server.address,
      'v1',
      symbols.map((symbol) => bytesField(4, symbol)),
    );
    const files = answers.map((answer) =>
      embedded(answer, 4, 1)
        .map((file) => embedded(file, 1).join())
        .sort(),
    );
    expect(files).toEqual([
      ['infalign/v1/reward_scorer.proto', 'infalign/v1/rollout.proto'],
      ['infalign/v1/evaluator.proto', 'infalign/v1/rollout.proto'],
      ['health/v1/health.proto'],
      ['infalign/v1/reward_scorer.proto', 'infalign/v1/rollout.proto'],
    ]);
  });

  it('describes maps as strict clients want them: with entries named after their field', async () => {
    const server = await serve({ services: [scorer()] });
    const questions = ['grpc.health.v1.HealthListResponse', 'google.rpc.ErrorInfo'].map((name) => bytesField(4, name));
    const [health, error] = await reflect(server.address, 'v1', questions);
    const entries = (answer: Buffer | undefined) => embedded(answer, 4, 1, 4, 3, 1).map(String);
    expect(entries(health)).toEqual(['StatusesEntry']);
    expect(entries(error)).toEqual(['MetadataEntry']);
  });

  it('says of what there is not that there is not', async () => {
    const server = await serve({ services: [scorer()] });
    const [answer] = await reflect(server.address, 'v1', [bytesField(4, 'infalign.v1.NoService')]);
    expect(embedded(answer, 7)).toHaveLength(1);
  });
});

/** Asks over gRPC's reflection, and gives the answers in order. */
async function reflect(address: string, version: string, questions: Buffer[]): Promise<Buffer[]> {
  const client = new Client(address, credentials.createInsecure());
  onTestFinished(() => client.close());
  const bytes = (value: Buffer) => value;
  const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
  const call = client.makeBidiStreamRequest(path, bytes, bytes);
  for (const question of questions) call.write(question);
  call.end();
  const answers: Buffer[] = [];
  for await (const answer of call) answers.push(answer as Buffer);
  return answers;
}

/** The embedded messages, or texts, that a path of field numbers leads to. */
function embedded(message: Buffer | undefined, ...path: number[]): Buffer[] {
  const [number, ...rest] = path;
  if (message === undefined || number === undefined) return message ? [message] : [];
  return [...wireFields(message)]
    .filter((field) => field.number === number)
    .flatMap(({ value }) => (Buffer.isBuffer(value) ? embedded(value, ...rest) : []));
}
