import { once } from 'node:events';
import { connect } from 'node:http2';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import type { CallContext } from './call-context.js';
import { noRetry } from './retry.js';
import { evaluator, evaluatorClient, scorer, scorerClient, serve, signalled, thrownBy } from './rpc.fixture.js';

const frontier = { procedure: 'bon:4', kls: [1, 2, 3] };
const none = Promise.resolve({ models: [] });

describe('a call', () => {
  it('is answered by its handler', async () => {
    const models = [{ name: 'proxy', version: 'ab' }];
    const server = await serve({ services: [scorer({ listRewardModels: () => Promise.resolve({ models }) })] });
    expect(await scorerClient(server.address).listRewardModels({})).toEqual({ models });
  });

  it('streams what its handler yields, in order', async () => {
    const streamFrontier = async function* ({ kls }: { kls: number[] }) {
      for (const kl of kls) {
        await sleep(1);
        yield { kl, winRate: kl / 10 };
      }
    };
    const server = await serve({ services: [evaluator({ streamFrontier })] });
    const points: number[] = [];
    for await (const { kl } of evaluatorClient(server.address).streamFrontier(frontier)) points.push(kl);
    expect(points).toEqual([1, 2, 3]);
  });

  it('is made when the iteration of its stream begins, and again by each iteration', async () => {
    let calls = 0;
    const streamFrontier = async function* () {
      await Promise.resolve();
      yield { kl: ++calls, winRate: 0.5 };
    };
    const server = await serve({ services: [evaluator({ streamFrontier })] });
    const stream = evaluatorClient(server.address).streamFrontier(frontier);
    await scorerClient(server.address)
      .listRewardModels({})
      .catch(() => undefined);
    expect(calls).toBe(0);
    for await (const { kl } of stream) expect(kl).toBe(1);
  });

  it('gives its handler the method, an id of its own, and the trace of the caller', async () => {
    const contexts: CallContext[] = [];
    const seen = (_: object, context: CallContext) => {
      contexts.push(context);
      return none;
    };
    const inner = await serve({ services: [scorer({ listRewardModels: seen })] });
    const innerClient = scorerClient(inner.address);
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01';
    const outerContext = { ...idleContext(), traceparent };
    await innerClient.listRewardModels({}, { context: outerContext });
    await innerClient.listRewardModels({});
    expect(contexts.map((context) => [context.method, context.caller, context.traceparent])).toEqual([
      ['infalign.v1.RewardScorerService/ListRewardModels', 'anonymous', traceparent],
      ['infalign.v1.RewardScorerService/ListRewardModels', 'anonymous', undefined],
    ]);
    expect(new Set(contexts.map(({ callId }) => callId)).size).toBe(2);
  });
});

describe('the deadline', () => {
  it('ends a unary call at both ends, also one whose handler does not listen', async () => {
    const aborted = signalled<unknown>();
    const server = await serve({
      services: [
        scorer({
          listRewardModels: (_, { signal }) => {
            signal.addEventListener('abort', () => aborted.resolve(signal.reason));
            return new Promise(() => undefined);
          },
        }),
      ],
    });
    const call = scorerClient(server.address).listRewardModels({}, { deadlineMs: 100 });
    expect(await thrownBy(call)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    // The client’s cancellation may come a moment before.
    expect(await aborted.promise).toMatchObject({
      code: expect.stringMatching(/DEADLINE_EXCEEDED|CANCELLED/) as string,
    });
  });

  it('is enforced by the server, whatever the client does', async () => {
    const aborted = signalled<unknown>();
    const server = await serve({
      services: [
        scorer({
          listRewardModels: (_, { signal }) => {
            signal.addEventListener('abort', () => aborted.resolve(signal.reason));
            return new Promise(() => undefined);
          },
        }),
      ],
    });
    const connection = connect(`http://${server.address}`);
    onTestFinished(() => connection.destroy());
    const call = connection.request({
      ':method': 'POST',
      ':path': '/infalign.v1.RewardScorerService/ListRewardModels',
      'content-type': 'application/grpc',
      te: 'trailers',
      'grpc-timeout': '50m',
    });
    call.end(Buffer.alloc(5));
    const [headers] = (await once(call, 'response')) as [Record<string, unknown>];
    expect(headers['grpc-status']).toBe('4');
    expect(await aborted.promise).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  });

  it('ends a stream at both ends, and returns the handler’s iterator', async () => {
    const returned = signalled();
    const server = await serve({
      services: [
        evaluator({
          async *streamFrontier(_, { signal }) {
            try {
              for (let kl = 0; ; kl++) {
                yield { kl, winRate: 0.5 };
                await sleep(5, undefined, { signal });
              }
            } finally {
              returned.resolve();
            }
          },
        }),
      ],
    });
    let responses = 0;
    const call = async () => {
      for await (const response of evaluatorClient(server.address).streamFrontier(frontier, { deadlineMs: 300 })) {
        responses += response ? 1 : 0;
      }
    };
    expect(await thrownBy(call())).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(responses).toBeGreaterThan(0);
    await returned.promise;
  });

  it('is the server’s where the client gives none', async () => {
    const deadlines: number[] = [];
    const server = await serve({
      services: [
        scorer({
          listRewardModels: (_, { deadline }) => {
            deadlines.push(deadline - Date.now());
            return new Promise(() => undefined);
          },
        }),
      ],
      limits: { defaultDeadlineMs: { unary: 50, stream: 50 } },
    });
    const call = scorerClient(server.address).listRewardModels({}, { deadlineMs: Infinity });
    expect(await thrownBy(call)).toMatchObject({ code: 'DEADLINE_EXCEEDED', reason: 'DEADLINE_EXCEEDED' });
    expect(deadlines[0]).toBeLessThanOrEqual(50);
  });

  it('may be a month away', async () => {
    const left: number[] = [];
    const listRewardModels = (_: object, { deadline }: CallContext) => {
      left.push(deadline - Date.now());
      return none;
    };
    const server = await serve({ services: [scorer({ listRewardModels })] });
    await scorerClient(server.address, { retry: noRetry })
      .listRewardModels({}, { deadlineMs: 30 * 86_400_000 })
      .catch(() => undefined);
    expect(left[0]).toBeGreaterThan(20 * 86_400_000);
  });

  it('of a call is that of the calls made within it', async () => {
    const seen: CallContext[] = [];
    const innerAborted = signalled();
    const inner = await serve({
      services: [
        scorer({
          listRewardModels: (_, context) => {
            seen.push(context);
            context.signal.addEventListener('abort', () => innerAborted.resolve());
            return new Promise(() => undefined);
          },
        }),
      ],
    });
    const innerClient = scorerClient(inner.address);
    const outer = await serve({
      services: [
        scorer({
          listRewardModels: (request, context) => {
            seen.push(context);
            return innerClient.listRewardModels(request, { context, deadlineMs: 3_600_000 });
          },
        }),
      ],
    });
    const call = scorerClient(outer.address).listRewardModels({}, { deadlineMs: 400 });
    expect(await thrownBy(call)).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await innerAborted.promise;
    const [outerContext, innerContext] = seen;
    // gRPC sends the time that is left, in whole milliseconds.
    expect(Math.abs((innerContext?.deadline ?? 0) - (outerContext?.deadline ?? 0))).toBeLessThan(400);
  });
});

describe('cancellation', () => {
  it('of a unary call aborts its signal', async () => {
    const begun = signalled();
    const aborted = signalled<unknown>();
    const server = await serve({
      services: [
        scorer({
          listRewardModels: (_, { signal }) => {
            begun.resolve();
            signal.addEventListener('abort', () => aborted.resolve(signal.reason));
            return new Promise(() => undefined);
          },
        }),
      ],
    });
    const stop = new AbortController();
    const call = thrownBy(scorerClient(server.address).listRewardModels({}, { signal: stop.signal }));
    await begun.promise;
    stop.abort();
    expect(await call).toMatchObject({ code: 'CANCELLED' });
    expect(await aborted.promise).toMatchObject({ code: 'CANCELLED' });
  });

  it('before a call makes none', async () => {
    const listRewardModels = vi.fn(() => none);
    const server = await serve({ services: [scorer({ listRewardModels })] });
    const call = scorerClient(server.address).listRewardModels({}, { signal: AbortSignal.abort() });
    expect(await thrownBy(call)).toMatchObject({ code: 'CANCELLED' });
    expect(listRewardModels).not.toHaveBeenCalled();
  });

  it('of a call cancels the calls made within it', async () => {
    const begun = signalled();
    const aborted = signalled<unknown>();
    const inner = await serve({
      services: [
        scorer({
          listRewardModels: (_, { signal }) => {
            begun.resolve();
            signal.addEventListener('abort', () => aborted.resolve(signal.reason));
            return new Promise(() => undefined);
          },
        }),
      ],
    });
    const innerClient = scorerClient(inner.address);
    const outer = await serve({
      services: [
        scorer({ listRewardModels: (request, context) => innerClient.listRewardModels(request, { context }) }),
      ],
    });
    const stop = new AbortController();
    const call = thrownBy(scorerClient(outer.address).listRewardModels({}, { signal: stop.signal }));
    await begun.promise;
    stop.abort();
    expect(await call).toMatchObject({ code: 'CANCELLED' });
    expect(await aborted.promise).toMatchObject({ code: 'CANCELLED' });
  });

  it('by leaving the loop over a stream returns the handler’s iterator', async () => {
    const returned = signalled();
    let yielded = 0;
    const server = await serve({
      services: [
        evaluator({
          async *streamFrontier() {
            try {
              for (;;) {
                await sleep(1);
                yield { kl: yielded++, winRate: 0.5 };
              }
            } finally {
              returned.resolve();
            }
          },
        }),
      ],
    });
    for await (const { kl } of evaluatorClient(server.address).streamFrontier(frontier)) {
      if (kl === 3) break;
    }
    await returned.promise;
    const atEnd = yielded;
    await sleep(50);
    expect(yielded).toBe(atEnd);
  });

  it('reaches an iterator that waits, and is no generator', async () => {
    const begun = signalled();
    const returned = signalled();
    const waiting: AsyncIterable<never> = {
      [Symbol.asyncIterator]: () => ({
        next: () => {
          begun.resolve();
          return new Promise(() => undefined);
        },
        return: () => {
          returned.resolve();
          return Promise.resolve({ done: true, value: undefined });
        },
      }),
    };
    const server = await serve({ services: [evaluator({ streamFrontier: () => waiting })] });
    const stop = new AbortController();
    const responses = evaluatorClient(server.address).streamFrontier(frontier, { signal: stop.signal });
    const call = thrownBy(responses[Symbol.asyncIterator]().next());
    await begun.promise;
    stop.abort();
    expect(await call).toMatchObject({ code: 'CANCELLED' });
    await returned.promise;
  });
});

function idleContext(): CallContext {
  return {
    method: 'm',
    callId: 'i',
    caller: 'c',
    deadline: Infinity,
    signal: new AbortController().signal,
    traceparent: undefined,
  };
}
