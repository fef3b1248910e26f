import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '@infalign/core';
import { afterEach, describe, expect, it } from 'vitest';
import type { KafkaCluster } from '../../../../tools/kafka/index.mjs';
import type { RolloutStream } from '../rollout-stream.js';
import type { Topic } from '../topic.js';
import {
  appendNumbers,
  copiesOf,
  faultsOf,
  noFaults,
  startCopier,
  type Appended,
  type Copier,
} from './copiers.fixture.js';
import { copyTopics, type CopyTask } from './copy-over-kafka.fixture.js';
import { testOptions } from './kafka-cluster.fixture.js';
import { openKafkaStream } from './kafka-stream.js';

/** How long nothing may come before what is missing counts as lost, in milliseconds. */
const patienceMs = 30_000;

/** What happens to no record, whatever happens to processes and connections. */
export function describeFaults(cluster: () => KafkaCluster): void {
  describe('processes that copy records', () => {
    const copiers: Copier[] = [];
    let stream: RolloutStream;
    afterEach(async () => {
      await Promise.all(copiers.splice(0).map((copier) => copier.kill()));
      await stream.close();
    });

    async function begin(
      brokers: readonly string[],
    ): Promise<{ task: CopyTask; from: Topic<number>; to: Topic<number> }> {
      const through = ['numbers', 'copies'];
      const [from, to] = copyTopics(through) as [Topic<number>, Topic<number>];
      const options = testOptions(brokers);
      stream = await openKafkaStream({ ...options, topics: [from, to] });
      return { task: { options, through, maxBatchRecords: 5 }, from, to };
    }

    const nothing = (): Appended => ({ acknowledged: new Set(), inDoubt: new Set() });

    it('lose and double nothing, however often one is killed', async () => {
      const { task, from, to } = await begin(cluster().brokers.plaintext);
      const random = seededRandom('kills');
      const appended = nothing();
      copiers.push(...(await Promise.all([startCopier(task), startCopier(task)])));
      for (let kill = 0; kill < 4; kill++) {
        const appending = appendNumbers(stream, from, kill * 300, (kill + 1) * 300, appended);
        const seen = copiers[0]!.copied();
        while (copiers[0]!.copied() < seen + 5) await sleep(5);
        await sleep(random.uniform() * 20);
        await copiers.shift()!.kill();
        copiers.push(await startCopier(task));
        await appending;
      }
      expect(appended.acknowledged.size).toBe(1200);
      expect(faultsOf(await copiesOf(stream, to, appended, patienceMs), appended)).toEqual(noFaults);
      for (const copier of copiers.splice(0)) expect(await copier.stop()).toBe(0);
    }, 180_000);

    it('cannot commit when they come back from a long pause, and others have taken over', async () => {
      const { task, from, to } = await begin(cluster().brokers.plaintext);
      const appended = nothing();
      const [paused, other] = [await startCopier(task), await startCopier(task)];
      copiers.push(paused, other);
      for (let round = 0; round < 2; round++) {
        const appending = appendNumbers(stream, from, round * 800, round * 800 + 400, appended);
        const seen = paused.copied();
        while (paused.copied() < seen + 5) await sleep(5);
        paused.process.kill('SIGSTOP');
        await appending;
        // All of them, those of the one that is paused included.
        expect(faultsOf(await copiesOf(stream, to, appended, patienceMs), appended)).toEqual(noFaults);
        paused.process.kill('SIGCONT');
        await appendNumbers(stream, from, round * 800 + 400, round * 800 + 800, appended);
      }
      expect(faultsOf(await copiesOf(stream, to, appended, patienceMs), appended)).toEqual(noFaults);
      for (const copier of copiers.splice(0)) expect(await copier.stop()).toBe(0);
    }, 180_000);

    it('lose and double nothing when connections break, stall and are slow', async () => {
      const { task, from, to } = await begin(cluster().brokers.plaintext);
      const random = seededRandom('connections');
      const proxy = cluster().node(1).proxy!;
      const appended = nothing();
      const options = { ...task.options, brokers: cluster().brokers.proxied, requestTimeoutMs: 1000 };
      copiers.push(await startCopier({ ...task, options }));
      let ended = false;
      const appending = (async () => {
        for (let start = 0; !ended; start += 50) {
          await appendNumbers(stream, from, start, start + 50, appended);
          await sleep(50);
        }
      })();
      for (let fault = 0; fault < 9; fault++) {
        const seen = copiers[0]!.copied();
        while (copiers[0]!.copied() < seen + 5) await sleep(5);
        await sleep(random.uniform() * 20);
        if (fault % 3 === 0) proxy.delay(50);
        else if (fault % 6 === 1) proxy.stall();
        else await proxy.cut();
        await sleep(fault % 6 === 1 ? 1500 : 100);
        proxy.delay(0);
        await proxy.restore();
      }
      ended = true;
      await appending;
      expect(faultsOf(await copiesOf(stream, to, appended, patienceMs), appended)).toEqual(noFaults);
      for (const copier of copiers.splice(0)) expect(await copier.stop()).toBe(0);
    }, 180_000);
  });
}
