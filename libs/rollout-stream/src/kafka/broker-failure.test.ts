import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import {
  appendNumbers,
  copiesOf,
  faultsOf,
  noFaults,
  startCopier,
  type Appended,
  type Copier,
} from './copiers.fixture.js';
import { copyTopics } from './copy-over-kafka.fixture.js';
import { describeWithKafka, testOptions } from './kafka-cluster.fixture.js';
import { openKafkaStream } from './kafka-stream.js';

describeWithKafka('with three brokers', { nodes: 3 }, (cluster) => {
  const copiers: Copier[] = [];
  afterEach(() => Promise.all(copiers.map((copier) => copier.kill())));

  it('two chained stages that copy lose, double and invent nothing when brokers and one of their processes are killed', async () => {
    const through = ['numbers', 'first', 'second'];
    const options = { ...testOptions(cluster().brokers.plaintext), partitions: 6, sessionTimeoutMs: 3000 };
    const topics = copyTopics(through);
    const stream = await openKafkaStream({ ...options, topics });
    const task = { options, through, maxBatchRecords: 10 };
    copiers.push(...(await Promise.all([startCopier(task), startCopier(task)])));
    const appended: Appended = { acknowledged: new Set(), inDoubt: new Set() };
    let ended = false;
    const appending = (async () => {
      for (let from = 0; !ended; from += 100) await appendNumbers(stream, topics[0]!, from, from + 100, appended);
    })();
    const acknowledge = async (count: number): Promise<void> => {
      for (const before = appended.acknowledged.size; appended.acknowledged.size < before + count;) await sleep(50);
    };
    await acknowledge(300);
    // It leads a third of the partitions, and coordinates a third of the groups and transactions.
    await cluster().node(2).kill();
    await acknowledge(100);
    await copiers.shift()!.kill();
    copiers.push(await startCopier(task));
    await acknowledge(300);
    await cluster().node(2).start();
    await acknowledge(300);
    ended = true;
    await appending;
    const copies = await copiesOf(stream, topics[2]!, appended, 30_000);
    expect(faultsOf(copies, appended)).toEqual(noFaults);
    for (const copier of copiers.splice(0)) expect(await copier.stop()).toBe(0);
    await stream.close();
  }, 240_000);
});
