import { describe, expect, it } from 'vitest';
import { noRetry } from './retry.js';
import { evaluator, evaluatorClient, scorer, scorerClient, serve, signalled, thrownBy } from './rpc.fixture.js';

const kib = 1024;

describe('a message over the limit', () => {
  const limits = { maxMessageBytes: 64 * kib };
  const tooLarge = {
    code: 'RESOURCE_EXHAUSTED',
    reason: 'MESSAGE_TOO_LARGE',
    remedy: 'send less in one message, or raise maxMessageBytes at both ends',
  };

  it('is refused as a request by the server', async () => {
    const server = await serve({ services: [evaluator()], limits });
    const call = evaluatorClient(server.address).streamFrontier({ procedure: 'x'.repeat(65 * kib), kls: [] });
    expect(await thrownBy(first(call))).toMatchObject(tooLarge);
  });

  it('is refused as a request by the client', async () => {
    const server = await serve({ services: [evaluator()] });
    const client = evaluatorClient(server.address, limits);
    const call = client.streamFrontier({ procedure: 'x'.repeat(65 * kib), kls: [] });
    expect(await thrownBy(first(call))).toMatchObject(tooLarge);
  });

  it.each(['server', 'client'])('is refused as a response by the %s', async (end) => {
    const models = [{ name: 'x'.repeat(65 * kib), version: '' }];
    const server = await serve({
      services: [scorer({ listRewardModels: () => Promise.resolve({ models }) })],
      ...(end === 'server' && { limits }),
    });
    const client = scorerClient(server.address, end === 'client' ? limits : {});
    expect(await thrownBy(client.listRewardModels({}))).toMatchObject(tooLarge);
  });

  it('is refused within a stream, after the messages before it', async () => {
    const server = await serve({
      services: [
        evaluator({
          async *streamFrontier() {
            await Promise.resolve();
            yield { kl: 1, winRate: 0.5 };
          },
          async *evaluate() {
            await Promise.resolve();
            for (const promptId of ['small', 'x'.repeat(65 * kib)]) {
              yield { result: { ...emptyResult, promptId } };
            }
          },
        }),
      ],
      limits,
    });
    const client = evaluatorClient(server.address);
    const responses: (string | undefined)[] = [];
    const call = async () => {
      for await (const { result } of client.evaluate({ runId: 'r', policyVersion: 1 }))
        responses.push(result?.promptId);
    };
    expect(await thrownBy(call())).toMatchObject(tooLarge);
    expect(responses).toEqual(['small']);
  });

  it('of exactly the limit passes', async () => {
    const name = 'x'.repeat(64 * kib - 8);
    const server = await serve({
      services: [scorer({ listRewardModels: () => Promise.resolve({ models: [{ name, version: '' }] }) })],
      limits,
    });
    const { models } = await scorerClient(server.address, limits).listRewardModels({});
    expect(models[0]?.name).toBe(name);
  });
});

describe('calls over the limit', () => {
  it('are refused with OVERLOADED, and taken when others have ended', async () => {
    const release = signalled();
    const begun = [signalled(), signalled()];
    let calls = 0;
    const server = await serve({
      services: [
        scorer({
          listRewardModels: async () => {
            begun[calls++]?.resolve();
            await release.promise;
            return { models: [] };
          },
        }),
      ],
      limits: { maxRunningCalls: 2 },
    });
    const client = scorerClient(server.address, { retry: noRetry });
    const running = [client.listRewardModels({}), client.listRewardModels({})];
    await Promise.all(begun.map(({ promise }) => promise));
    expect(await thrownBy(client.listRewardModels({}))).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'OVERLOADED',
      remedy: 'call again later, or run more instances',
      retryAfterMs: 200,
    });
    expect(calls).toBe(2);
    release.resolve();
    await Promise.all(running);
    await client.listRewardModels({});
    expect(calls).toBe(3);
  });

  it('count as long as their handler runs, also when they were cancelled', async () => {
    const begun = signalled();
    const release = signalled();
    const server = await serve({
      services: [
        scorer({
          listRewardModels: async () => {
            begun.resolve();
            await release.promise;
            return { models: [] };
          },
        }),
      ],
      limits: { maxRunningCalls: 1 },
    });
    const client = scorerClient(server.address, { retry: noRetry });
    const stop = new AbortController();
    const call = thrownBy(client.listRewardModels({}, { signal: stop.signal }));
    await begun.promise;
    stop.abort();
    await call;
    expect(await thrownBy(client.listRewardModels({}))).toMatchObject({ reason: 'OVERLOADED' });
    release.resolve();
    await scorerClient(server.address).listRewardModels({});
  });

  it('give their place back when they fail, are refused, or are streams that end early', async () => {
    const server = await serve({
      services: [
        scorer({ listRewardModels: () => Promise.reject(new Error('no')) }),
        evaluator({
          async *streamFrontier({ kls }) {
            await Promise.resolve();
            for (const kl of kls) yield { kl, winRate: 0.5 };
          },
        }),
      ],
      limits: { maxRunningCalls: 1 },
    });
    const scorers = scorerClient(server.address);
    const evaluators = evaluatorClient(server.address);
    for (let round = 0; round < 5; round++) {
      expect(await thrownBy(scorers.listRewardModels({}))).toMatchObject({ code: 'INTERNAL' });
      expect(await first(evaluators.streamFrontier({ procedure: 'p', kls: [1, 2, 3] }))).toMatchObject({ kl: 1 });
    }
  });
});

const emptyResult = {
  runId: 'r',
  policyVersion: 1,
  promptId: '',
  rewards: [],
  judgeRewards: [],
  klExact: 0,
  klK1: 0,
  klK3: 0,
  responseTokens: 0,
};

/** The first item; the rest is not asked for. */
async function first<T>(items: AsyncIterable<T>): Promise<T | undefined> {
  for await (const item of items) return item;
  return undefined;
}
