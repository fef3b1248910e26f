import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
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
                await Promise.resolve();
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

/** The value when it has stopped changing. */
async function settled(value: () => number): Promise<number> {
  for (let before = -1; ;) {
    const now = value();
    if (now === before) return now;
    before = now;
    await sleep(200);
  }
}
