import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import type { KafkaCluster } from '../../../../tools/kafka/index.mjs';
import { all } from '../conformance-topics.fixture.js';
import { numberTopic } from '../records.fixture.js';
import { serveStage } from '../serve.js';
import { outgoing } from '../topic.js';
import { appendNumbers, copiesOf, faultsOf, noFaults, type Appended } from './copiers.fixture.js';
import { testOptions } from './kafka-cluster.fixture.js';
import { openKafkaStream } from './kafka-stream.js';
import { replaceProxy, type Loss } from './lossy-proxy.fixture.js';

/** Kafka's keys of requests. */
const keys = {
  Produce: 0,
  Fetch: 1,
  OffsetFetch: 9,
  FindCoordinator: 10,
  Heartbeat: 12,
  InitProducerId: 22,
  AddPartitionsToTxn: 24,
  AddOffsetsToTxn: 25,
  EndTxn: 26,
  TxnOffsetCommit: 28,
};

/** Those that are only made after a fault: it takes another one to get there. */
const afterFaults = new Set<keyof typeof keys>(['InitProducerId', 'OffsetFetch', 'FindCoordinator']);

/** What gets lost, one after another. */
const order: (keyof typeof keys)[] = [
  ...(Object.keys(keys) as (keyof typeof keys)[]),
  ...Array<keyof typeof keys>(6).fill('Produce'),
  ...Array<keyof typeof keys>(3).fill('EndTxn'),
];

/** What happens to no record, whichever request gets lost. */
export function describeLostRequests(cluster: () => KafkaCluster): void {
  describe('a stage that copies', () => {
    it.each<Loss>(['answer lost', 'request late'])(
      'loses and doubles nothing, of whichever request it is: %s',
      async (loss) => {
        const [from, to] = [numberTopic('numbers'), numberTopic('copies')];
        const options = { ...testOptions(cluster().brokers.plaintext), topics: [from, to] };
        const stream = await openKafkaStream(options);
        const proxy = await replaceProxy(cluster());
        const copying = await openKafkaStream({ ...options, brokers: cluster().brokers.proxied });
        const end = new AbortController();
        let ended = false;
        try {
          const appended: Appended = { acknowledged: new Set(), inDoubt: new Set() };
          const appending = (async () => {
            for (let start = 0; !ended; start += 50) {
              await appendNumbers(stream, from, start, start + 50, appended);
              await sleep(20);
            }
          })();
          let copied = 0;
          const serving = serveStage<number>(
            copying,
            {
              name: 'copying',
              input: from,
              maxBatchRecords: 5,
              open: () =>
                Promise.resolve({
                  process: (batch) =>
                    Promise.resolve({ outputs: batch.map(({ value }) => outgoing(to, value)), consumed: batch.length }),
                }),
            },
            { signal: end.signal, onProgress: ({ consumed }) => void (copied += consumed) },
          );
          for (const name of order) {
            const lost = proxy.lose(keys[name], loss);
            if (afterFaults.has(name)) await proxy.lose(keys.EndTxn, 'answer lost');
            // Whether a transaction has been committed may change until the id has been taken over again, and not after.
            if (name === 'EndTxn') await proxy.lose(keys.InitProducerId, 'request held up');
            await lost;
            const seen = copied;
            while (copied < seen + 10) await sleep(5);
          }
          ended = true;
          await appending;
          expect(faultsOf(await copiesOf(stream, to, appended, 30_000), appended)).toEqual(noFaults);
          end.abort();
          await serving;
        } finally {
          ended = true;
          end.abort();
          await copying.close();
          await proxy.close();
          await stream.close();
        }
      },
      120_000,
    );
  });

  it('a writer appends once, whichever answer gets lost', async () => {
    const topic = numberTopic('numbers', { together: true });
    const proxy = await replaceProxy(cluster());
    const writing = await openKafkaStream({ ...testOptions(cluster().brokers.proxied), topics: [topic] });
    try {
      const appended: Appended = { acknowledged: new Set(), inDoubt: new Set() };
      await appendNumbers(writing, topic, 0, 25, appended);
      for (let start = 25; start < 400; start += 25) {
        const name = (['Produce', 'AddPartitionsToTxn', 'EndTxn'] as const)[(start / 25) % 3]!;
        const lost = proxy.lose(keys[name], 'answer lost');
        await appendNumbers(writing, topic, start, start + 25, appended);
        await lost;
        // The same batch again is taken once.
        if (name === 'Produce') expect(appended.acknowledged).toContain(start);
      }
      // Whoever has committed reads at once what it has; to others the brokers show it some milliseconds later.
      expect(faultsOf(await all(writing, topic), appended)).toEqual(noFaults);
    } finally {
      await writing.close();
      await proxy.close();
    }
  });
}
