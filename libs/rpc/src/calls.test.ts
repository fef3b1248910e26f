import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { evaluator, evaluatorClient, scorer, scorerClient, serve } from './rpc.fixture.js';

describe('a call', () => {
  it('is answered by its handler', async () => {
    const models = [{ name: 'proxy', version: 'ab' }];
    const server = await serve({ services: [scorer({ listRewardModels: () => Promise.resolve({ models }) })] });
    expect(await scorerClient(server.address).listRewardModels({})).toEqual({ models });
  });

  it('streams what its handler yields, in order', async () => {
    const server = await serve({
      services: [
        evaluator({
          async *streamFrontier({ kls }) {
            for (const kl of kls) {
              await sleep(1);
              yield { kl, winRate: kl / 10 };
            }
          },
        }),
      ],
    });
    const points: number[] = [];
    for await (const { kl } of evaluatorClient(server.address).streamFrontier({ procedure: 'bon:4', kls: [1, 2, 3] })) {
      points.push(kl);
    }
    expect(points).toEqual([1, 2, 3]);
  });
});
