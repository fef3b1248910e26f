import { describe, expect, it } from 'vitest';
import { RpcError } from './rpc-error.js';
import type { RetryPolicy } from './retry.js';
import { evaluator, evaluatorClient, scorer, scorerClient, serve, signalled, thrownBy } from './rpc.fixture.js';

const quick: RetryPolicy = { attempts: 4, initialDelayMs: 1, factor: 2, maxDelayMs: 5 };

/** Fails as often as it is told, and counts its calls. */
function failing(times: number, error: RpcError) {
  const counter = { calls: 0 };
  const listRewardModels = () => {
    counter.calls++;
    return counter.calls <= times ? Promise.reject(error) : Promise.resolve({ models: [] });
  };
  return { counter, services: [scorer({ listRewardModels })] };
}

const unavailable = new RpcError('UNAVAILABLE', 'WARMING_UP', 'loading');

describe('a call that fails', () => {
  it.each([
    ['because the server is away', unavailable],
    ['because the server is overloaded', new RpcError('RESOURCE_EXHAUSTED', 'OVERLOADED', 'busy')],
  ])('%s is made again', async (_, error) => {
    const { counter, services } = failing(3, error);
    const server = await serve({ services });
    await scorerClient(server.address, { retry: quick }).listRewardModels({});
    expect(counter.calls).toBe(4);
  });

  it('is made no more often than the policy says', async () => {
    const { counter, services } = failing(Infinity, unavailable);
    const server = await serve({ services });
    expect(await thrownBy(scorerClient(server.address, { retry: quick }).listRewardModels({}))).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'WARMING_UP',
    });
    expect(counter.calls).toBe(4);
  });

  it.each([
    new RpcError('INVALID_ARGUMENT', 'R', 'm'),
    new RpcError('RESOURCE_EXHAUSTED', 'MESSAGE_TOO_LARGE', 'm'),
    new RpcError('INTERNAL', 'R', 'm'),
    new RpcError('DEADLINE_EXCEEDED', 'R', 'm'),
    new RpcError('ABORTED', 'R', 'm'),
  ])('with $code $reason is not made again', async (error) => {
    const { counter, services } = failing(1, error);
    const server = await serve({ services });
    expect(await thrownBy(scorerClient(server.address, { retry: quick }).listRewardModels({}))).toMatchObject({
      code: error.code,
    });
    expect(counter.calls).toBe(1);
  });

  it('is not made again where its deadline would pass', async () => {
    const { counter, services } = failing(Infinity, new RpcError('UNAVAILABLE', 'R', 'm', { retryAfterMs: 60_000 }));
    const server = await serve({ services });
    const call = scorerClient(server.address, { retry: quick }).listRewardModels({}, { deadlineMs: 30_000 });
    expect(await thrownBy(call)).toMatchObject({ code: 'UNAVAILABLE', retryAfterMs: 60_000 });
    expect(counter.calls).toBe(1);
  });

  it('stops waiting when it is cancelled', async () => {
    const failed = signalled();
    const listRewardModels = () => {
      failed.resolve();
      return Promise.reject(new RpcError('UNAVAILABLE', 'R', 'm', { retryAfterMs: 3_000_000 }));
    };
    const server = await serve({ services: [scorer({ listRewardModels })] });
    const stop = new AbortController();
    const call = thrownBy(
      scorerClient(server.address).listRewardModels({}, { signal: stop.signal, deadlineMs: 3_600_000 }),
    );
    await failed.promise;
    stop.abort();
    expect(await call).toMatchObject({ code: expect.stringMatching(/UNAVAILABLE|CANCELLED/) as string });
  });

  it('as a stream is made again before its first item, and never after', async () => {
    let calls = 0;
    const server = await serve({
      services: [
        evaluator({
          async *streamFrontier() {
            await Promise.resolve();
            if (++calls < 3) throw unavailable;
            yield { kl: calls, winRate: 0.5 };
            throw unavailable;
          },
        }),
      ],
    });
    const items: number[] = [];
    const call = async () => {
      const stream = evaluatorClient(server.address, { retry: quick }).streamFrontier({ procedure: 'p', kls: [] });
      for await (const { kl } of stream) items.push(kl);
    };
    expect(await thrownBy(call())).toMatchObject({ code: 'UNAVAILABLE' });
    expect(items).toEqual([3]);
    expect(calls).toBe(3);
  });

  it('because no server is there yet succeeds when there is one', async () => {
    const first = await serve({ services: [scorer()] });
    const { port, address } = first;
    await first.drain(0);
    const call = scorerClient(address, { retry: { ...quick, attempts: 1000, maxDelayMs: 50 } }).listRewardModels({});
    await serve({ services: [scorer()], port });
    expect(await call).toEqual({ models: [] });
  });
});
