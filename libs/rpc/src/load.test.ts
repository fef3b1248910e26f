import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { evaluator, evaluatorClient, scorer, scorerClient, serve } from './rpc.fixture.js';

const atATime = 64;

describe('a server under load', () => {
  it('answers 2,000 calls, 64 at a time, each right, and keeps none of their memory', async () => {
    const server = await serve({
      services: [
        scorer({ listRewardModels: () => Promise.resolve({ models: [{ name: 'm'.repeat(10_000), version: '1' }] }) }),
        evaluator({
          async *streamFrontier({ kls }) {
            await Promise.resolve();
            for (const kl of kls) yield { kl, winRate: 0.5 };
          },
        }),
      ],
      limits: { maxRunningCalls: atATime },
    });
    const scorers = scorerClient(server.address);
    const evaluators = evaluatorClient(server.address);
    // Assertions keep memory themselves.
    let wrong = 0;
    const call = async (index: number) => {
      if (index % 2 === 0) {
        const { models } = await scorers.listRewardModels({});
        wrong += Number(models[0]?.name.length !== 10_000);
        return;
      }
      const items: number[] = [];
      for await (const { kl } of evaluators.streamFrontier({ procedure: 'p', kls: [index, 1, 2] })) items.push(kl);
      wrong += Number(items.join() !== [index, 1, 2].join());
    };
    await inParallel(200, call);
    const before = heapInUse();
    await inParallel(2000, call);
    const growth = heapInUse() - before;
    expect(wrong).toBe(0);
    expect(growth).toBeLessThan(2 * 2 ** 20);
  });

  it('keeps no memory of the items of a long stream', async () => {
    const items = 6000;
    let before = 0;
    let growth = 0;
    const server = await serve({
      services: [
        evaluator({
          async *streamFrontier() {
            for (let kl = 0; kl < items; kl++) {
              await Promise.resolve();
              if (kl === 1000) before = heapInUse();
              if (kl === items - 1) growth = heapInUse() - before;
              yield { kl, winRate: 0.5 };
            }
          },
        }),
      ],
    });
    let read = 0;
    let wrong = 0;
    for await (const { kl } of evaluatorClient(server.address).streamFrontier({ procedure: 'p', kls: [] })) {
      wrong += Number(kl !== read++);
    }
    expect(read).toBe(items);
    expect(wrong).toBe(0);
    expect(growth).toBeLessThan(2 ** 20);
  });
});

async function inParallel(calls: number, call: (index: number) => Promise<void>): Promise<void> {
  let next = 0;
  const worker = async () => {
    while (next < calls) await call(next++);
  };
  await Promise.all(Array.from({ length: atATime }, worker));
}

/** Bytes that are in use after garbage collection. */
function heapInUse(): number {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  collect();
  return process.memoryUsage().heapUsed;
}
