import { connect } from 'node:net';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { noRetry } from './retry.js';
import { evaluator, evaluatorClient, scorer, scorerClient, serve, signalled, thrownBy } from './rpc.fixture.js';

describe('drain', () => {
  it('lets a call end that runs, and takes no other', async () => {
    const begun = signalled();
    const release = signalled();
    const server = await serve({
      services: [
        scorer({
          listRewardModels: async () => {
            begun.resolve();
            await release.promise;
            return { models: [{ name: 'n', version: 'v' }] };
          },
        }),
      ],
    });
    const client = scorerClient(server.address, { retry: noRetry });
    const running = client.listRewardModels({});
    await begun.promise;
    let drained = false;
    const drain = server.drain(60_000).then(() => void (drained = true));
    expect(await thrownBy(client.listRewardModels({}))).toMatchObject({ code: 'UNAVAILABLE' });
    expect(drained).toBe(false);
    release.resolve();
    expect(await running).toEqual({ models: [{ name: 'n', version: 'v' }] });
    await drain;
    expect(await connects(server.port)).toBe(false);
  });

  it('lets a stream end that runs', async () => {
    const begun = signalled();
    const release = signalled();
    const server = await serve({
      services: [
        evaluator({
          async *streamFrontier({ kls }) {
            for (const kl of kls) {
              yield { kl, winRate: 0.5 };
              begun.resolve();
              await release.promise;
            }
          },
        }),
      ],
    });
    const items: number[] = [];
    const call = (async () => {
      const stream = evaluatorClient(server.address).streamFrontier({ procedure: 'p', kls: [1, 2, 3] });
      for await (const { kl } of stream) items.push(kl);
    })();
    await begun.promise;
    const drain = server.drain(60_000);
    release.resolve();
    await call;
    await drain;
    expect(items).toEqual([1, 2, 3]);
  });

  it('aborts after the grace what still runs, and tells why', async () => {
    const begun = signalled();
    const aborted = signalled<unknown>();
    const server = await serve({
      services: [
        scorer({
          listRewardModels: async (_, { signal }) => {
            begun.resolve();
            await sleep(3_600_000, undefined, { signal }).catch(() => aborted.resolve(signal.reason));
            return { models: [] };
          },
        }),
      ],
    });
    const call = thrownBy(scorerClient(server.address, { retry: noRetry }).listRewardModels({}));
    await begun.promise;
    await server.drain(50);
    expect(await call).toMatchObject({ code: 'UNAVAILABLE', reason: 'SHUTTING_DOWN' });
    expect(await aborted.promise).toMatchObject({ code: 'UNAVAILABLE', reason: 'SHUTTING_DOWN' });
  });

  it('does not wait for clients that are connected and idle, nor for handlers that never end', async () => {
    const begun = signalled();
    const server = await serve({
      services: [
        scorer({
          listRewardModels: () => {
            begun.resolve();
            return new Promise(() => undefined);
          },
        }),
      ],
    });
    const idle = connect(server.port, '127.0.0.1');
    await once(idle, 'connect');
    const client = scorerClient(server.address, { retry: noRetry });
    await client.score({ rollouts: [] });
    const stuck = thrownBy(client.listRewardModels({}));
    await begun.promise;
    await server.drain(10);
    expect(await stuck).toMatchObject({ code: 'UNAVAILABLE' });
    idle.destroy();
  });

  it('may be asked for twice', async () => {
    const server = await serve({ services: [scorer()] });
    const first = server.drain(1000);
    expect(server.drain(0)).toBe(first);
    await first;
  });
});

async function connects(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1');
  try {
    await once(socket, 'connect');
    return true;
  } catch {
    return false;
  } finally {
    socket.destroy();
  }
}
