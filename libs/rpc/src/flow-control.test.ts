import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished } from 'vitest';
import { evaluator, evaluatorClient, serve, signalled } from './rpc.fixture.js';

const request = { runId: 'r', policyVersion: 1 };

describe('a stream', () => {
  it('to a client that reads nothing pulls a few items only, and goes on when it reads', async () => {
    const responses = 10_000;
    let pulled = 0;
    const returned = signalled();
    const result = largeResult(64 * 1024);
    const server = await serve({
      services: [
        evaluator({
          async *evaluate() {
            try {
              for (; pulled < responses; pulled++) {
                await Promise.resolve();
                yield { result };
              }
            } finally {
              returned.resolve();
            }
          },
        }),
      ],
    });
    const stream = evaluatorClient(server.address).evaluate(request)[Symbol.asyncIterator]();
    await stream.next();
    const atRest = await settled(() => pulled);
    expect(atRest).toBeLessThan(64);

    for (let read = 0; read < 200; read++) await stream.next();
    expect(pulled).toBeGreaterThanOrEqual(200);
    expect(await settled(() => pulled)).toBeLessThan(264);

    await stream.return?.();
    await returned.promise;
    expect(pulled).toBeLessThan(264);
  });

  it('to a client that reads nothing ends at its deadline', async () => {
    const returned = signalled();
    const result = largeResult(64 * 1024);
    const server = await serve({
      services: [
        evaluator({
          async *evaluate() {
            try {
              for (;;) {
                await sleep(1);
                yield { result };
              }
            } finally {
              returned.resolve();
            }
          },
        }),
      ],
      limits: { defaultDeadlineMs: { unary: 1, stream: 300 } },
    });
    const stream = evaluatorClient(server.address).evaluate(request, { deadlineMs: Infinity })[Symbol.asyncIterator]();
    await stream.next();
    await returned.promise;
  });

  it('to a client that is gone without a word ends when it gives no sign of life', async () => {
    const returned = signalled();
    const server = await serve({
      services: [
        evaluator({
          async *evaluate(_, { signal }) {
            try {
              yield { result: largeResult(1) };
              await sleep(3_600_000, undefined, { signal });
            } finally {
              returned.resolve();
            }
          },
        }),
      ],
      limits: { keepaliveMs: 100, keepaliveTimeoutMs: 100 },
    });
    const network = await interruptible(server.port);
    const stream = evaluatorClient(network.address).evaluate(request)[Symbol.asyncIterator]();
    await stream.next();
    network.interrupt();
    await returned.promise;
  });

  it('to a client that reads gives all of them', async () => {
    const responses = 500;
    const result = largeResult(64 * 1024);
    const server = await serve({
      services: [
        evaluator({
          async *evaluate() {
            for (let index = 0; index < responses; index++) {
              await Promise.resolve();
              yield { result };
            }
          },
        }),
      ],
    });
    let read = 0;
    for await (const response of evaluatorClient(server.address).evaluate(request)) {
      read += response.result?.promptId.length ?? 0;
    }
    expect(read).toBe(responses * 64 * 1024);
  });
});

function largeResult(bytes: number) {
  return {
    runId: 'r',
    policyVersion: 1,
    promptId: 'x'.repeat(bytes),
    rewards: [],
    judgeRewards: [],
    klExact: 0,
    klK1: 0,
    klK3: 0,
    responseTokens: 0,
  };
}

/** A way to a port that can fall silent, as a network does whose cable is pulled. */
async function interruptible(port: number): Promise<{ address: string; interrupt: () => void }> {
  const sockets: Socket[] = [];
  const proxy = createServer((near) => {
    const far = connect(port, '127.0.0.1');
    sockets.push(near, far);
    for (const socket of [near, far]) socket.on('error', () => undefined);
    near.pipe(far);
    far.pipe(near);
  });
  proxy.listen(0, '127.0.0.1');
  await once(proxy, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    proxy.close();
  });
  const interrupt = () => {
    for (const socket of sockets) socket.unpipe().pause();
  };
  return { address: `127.0.0.1:${(proxy.address() as AddressInfo).port}`, interrupt };
}

/** The value when it has stopped changing. */
async function settled(value: () => number): Promise<number> {
  for (let before = -1; ;) {
    const now = value();
    if (now === before) return now;
    before = now;
    await sleep(200);
  }
}
