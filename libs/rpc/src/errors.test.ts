import { Client, credentials, Metadata, type ServiceError, type status } from '@grpc/grpc-js';
import { InputError } from '@infalign/core';
import { createLogger } from '@infalign/telemetry';
import { describe, expect, it, onTestFinished } from 'vitest';
import { errorFromStatus, statusFromError } from './error-status.js';
import { noRetry } from './retry.js';
import { RpcError } from './rpc-error.js';
import { evaluator, evaluatorClient, scorer, scorerClient, serve, signalled, thrownBy } from './rpc.fixture.js';

/** What a client sees of an error that a handler throws. */
async function received(thrown: unknown): Promise<unknown> {
  const fail = () => {
    throw thrown;
  };
  const server = await serve({ services: [scorer({ listRewardModels: fail })] });
  return thrownBy(scorerClient(server.address, { retry: noRetry }).listRewardModels({}));
}

describe('an error of a handler', () => {
  it('reaches the client with code, reason, problem, remedy, metadata and the time to wait', async () => {
    const sent = new RpcError('FAILED_PRECONDITION', 'NO_REFERENCES', 'prompt “p/é” has no references\nyet', {
      remedy: 'calibrate it first: 100 % of prompts need it',
      metadata: { promptId: 'p/é', empty: '' },
      retryAfterMs: 1500,
      cause: new Error('private'),
    });
    const error = (await received(sent)) as RpcError;
    expect(error).toBeInstanceOf(RpcError);
    expect({ ...error }).toEqual({ ...sent });
    expect(error.message).toBe(sent.message);
    expect(error.cause).toBeUndefined();
  });

  it('in a stream reaches the client after the items before it', async () => {
    const server = await serve({
      services: [
        evaluator({
          async *streamFrontier() {
            await Promise.resolve();
            yield { kl: 1, winRate: 0.5 };
            throw new RpcError('NOT_FOUND', 'RUN_NOT_FOUND', 'run r is not known', { remedy: 'start it' });
          },
        }),
      ],
    });
    const items: number[] = [];
    const call = async () => {
      for await (const { kl } of evaluatorClient(server.address).streamFrontier({ procedure: 'p', kls: [] }))
        items.push(kl);
    };
    expect(await thrownBy(call())).toMatchObject({ code: 'NOT_FOUND', reason: 'RUN_NOT_FOUND', remedy: 'start it' });
    expect(items).toEqual([1]);
  });

  it('is INVALID_ARGUMENT where the input is wrong, with its message', async () => {
    expect(await received(new InputError('rollouts[3].reward: is NaN; give a finite number'))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'INVALID_INPUT',
      message: 'rollouts[3].reward: is NaN; give a finite number',
    });
  });

  it('that is not foreseen shows nothing but a reference, under which the log has all of it, once', async () => {
    let log = '';
    const logger = createLogger({ service: 's', level: 'debug', destination: { write: (line) => void (log += line) } });
    const fail = () => {
      throw new TypeError('the secret of /etc/passwd');
    };
    const server = await serve({ services: [scorer({ listRewardModels: fail })], logger });
    const client = new Client(server.address, credentials.createInsecure());
    onTestFinished(() => client.close());
    const error = await new Promise<ServiceError>((resolve) => {
      const path = '/infalign.v1.RewardScorerService/ListRewardModels';
      const bytes = (value: Buffer) => value;
      client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), (thrown) => thrown && resolve(thrown));
    });
    const onTheWire = JSON.stringify([error.details, error.metadata.toJSON(), error.metadata.toHttp2Headers()]);
    const details = error.metadata.get('grpc-status-details-bin').map(String).join();
    expect(onTheWire + details).not.toMatch(/passwd|TypeError|errors\.test/);
    const { code, metadata } = errorFromStatus(error, 'here');
    expect(code).toBe('INTERNAL');
    const lines = log.split('\n').filter((line) => line.includes('passwd'));
    expect(lines).toHaveLength(1);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      level: 'error',
      callId: metadata['callId'],
      err: {
        type: 'TypeError',
        message: 'the secret of /etc/passwd',
        stack: expect.stringContaining('errors.test') as string,
      },
    });
  });

  it.each([[undefined], ['text'], [null], [{ code: 5 }]])('may be no error at all: %j', async (thrown) => {
    expect(await received(thrown)).toMatchObject({ code: 'INTERNAL' });
  });

  it('may say anything: half surrogate pairs and long texts neither end the server nor lose the code', async () => {
    const metadata = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`k${index}`, '€'.repeat(50_000)]));
    const text = `\ud800${'€'.repeat(50_000)}`;
    const error = await received(new RpcError('ABORTED', 'R', text, { remedy: text, metadata }));
    expect(error).toMatchObject({ code: 'ABORTED', reason: 'R' });
    expect((error as RpcError).message).toMatch(/^\ufffd€€/);
  });
});

describe('a request', () => {
  it('that is malformed is refused with what is wrong', async () => {
    const server = await serve({ services: [evaluator()] });
    const client = new Client(server.address, credentials.createInsecure());
    onTestFinished(() => client.close());
    const answer = signalled<ServiceError>();
    const bytes = (value: Buffer) => value;
    client
      .makeServerStreamRequest('/infalign.v1.EvaluatorService/Evaluate', bytes, bytes, Buffer.from([0xff, 0xff]))
      .on('error', (error) => answer.resolve(error as ServiceError))
      .resume();
    expect(errorFromStatus(await answer.promise, 'here')).toMatchObject({
      code: 'INVALID_ARGUMENT',
      reason: 'MALFORMED_REQUEST',
    });
  });

  it('for a method that is not served is UNIMPLEMENTED', async () => {
    const server = await serve({ services: [evaluator()] });
    expect(await thrownBy(scorerClient(server.address).listRewardModels({}))).toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringContaining(
        `infalign.v1.RewardScorerService/ListRewardModels at ${server.address}`,
      ) as string,
    });
  });

  it('to where no server is says where that is', async () => {
    const server = await serve({ services: [scorer()] });
    await server.drain(0);
    expect(await thrownBy(scorerClient(server.address, { retry: noRetry }).listRewardModels({}))).toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(server.address) as string,
      remedy: expect.stringContaining('check that the service runs') as string,
    });
  });
});

/** By Python's protobuf, with googleapis-common-protos. */
const reference =
  'CAgSCmJ1c3k7IHdhaXQaUgoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLkVycm9ySW5mbxImCgpPVkVSTE9BREVEEghpbmZhbGlnbhoOCgZyZW1lZHkSBHdhaXQaNQoodHlwZS5nb29nbGVhcGlzLmNvbS9nb29nbGUucnBjLlJldHJ5SW5mbxIJCgcIAhCA5Zp3';

describe('google.rpc.Status', () => {
  it('is encoded as by another implementation', () => {
    const { metadata } = statusFromError(
      new RpcError('RESOURCE_EXHAUSTED', 'OVERLOADED', 'busy', {
        remedy: 'wait',
        retryAfterMs: 2250,
      }),
    );
    const [bytes] = metadata.get('grpc-status-details-bin');
    expect((bytes as Buffer).toString('base64')).toBe(reference);
  });

  it('is ignored where it cannot be read', () => {
    for (const bytes of [Buffer.from('nonsense'), Buffer.from([0x1a, 0x7f]), Buffer.alloc(0), Buffer.from([0x0b])]) {
      const metadata = new Metadata();
      metadata.set('grpc-status-details-bin', bytes);
      expect(errorFromStatus({ code: 5, details: 'gone', metadata }, 'S/M at h')).toMatchObject({
        code: 'NOT_FOUND',
        reason: 'NOT_FOUND',
        problem: 'S/M at h: gone',
      });
    }
  });

  it('of an unknown code is UNKNOWN', () => {
    expect(errorFromStatus({ code: 99 as status, details: 'd' }, 'p').code).toBe('UNKNOWN');
    expect(errorFromStatus({ code: 0, details: 'd' }, 'p').code).toBe('UNKNOWN');
  });
});
