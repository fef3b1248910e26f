import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { InputError } from '@infalign/core';
import kafkajs, { CompressionTypes, Partitioners, type Message } from 'kafkajs';
import { decompressFrameSync } from 'lz4-napi';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { KafkaCluster } from '../../../../tools/kafka/index.mjs';
import { all, input, latest, numbers, readMany, spread, values } from '../conformance-topics.fixture.js';
import type { RolloutStream } from '../rollout-stream.js';
import { isPoison, outgoing, partitionOfKey, removal, type Topic } from '../topic.js';
import { foreignClient, withAdmin } from './foreign-client.fixture.js';
import { testOptions } from './kafka-cluster.fixture.js';
import { openKafkaStream } from './kafka-stream.js';
import type { KafkaStreamOptions } from './options.js';

const { CompressionCodecs } = kafkajs;

/** What other clients and the brokers themselves do to records. */
export function describeForeignRecords(cluster: () => KafkaCluster): void {
  describe('records', () => {
    let options: KafkaStreamOptions;
    let stream: RolloutStream;
    let home: number;
    const nameOf = (topic: Topic<number>): string => `${options.prefix}${topic.name}`;
    const message = (value: number): Message => ({ key: String(value % 100), value: String(value), partition: home });
    beforeEach(async () => {
      options = { ...testOptions(cluster().brokers.plaintext), topics: [input, spread] };
      stream = await openKafkaStream(options);
      home = partitionOfKey('all', stream.partitions);
    });
    afterEach(() => stream.close());

    it('of transactions that are open or were aborted are not seen, and hold up nothing that was there before', async () => {
      const client = foreignClient(cluster());
      const producers = ['a', 'b'].map((name) =>
        client.producer({
          transactionalId: `${options.prefix}${name}`,
          createPartitioner: Partitioners.DefaultPartitioner,
          retry: { initialRetryTime: 5 },
        }),
      );
      await Promise.all(producers.map((producer) => producer.connect()));
      await stream.append([outgoing(input, 1)]);
      const reader = await stream.follow(input);
      const member = await stream.join('group', input);
      const [first, second] = await Promise.all(producers.map((producer) => producer.transaction()));
      await first!.send({ topic: nameOf(input), messages: numbers(100, 105).map(message) });
      await second!.send({ topic: nameOf(input), messages: numbers(200, 205).map(message) });
      await first!.send({ topic: nameOf(input), messages: numbers(105, 110).map(message) });
      expect(await all(stream, input)).toEqual([1]);
      const ends = await stream.endOffsets(input);
      // What is committed later stands after what is still open: it has to wait for it.
      const waiting = stream.append([outgoing(input, 2)]);
      await waiting;
      expect(await all(stream, input)).toEqual([1]);
      expect(await stream.endOffsets(input)).toEqual(ends);
      await first!.abort();
      await second!.commit();
      const expected = [1, ...numbers(200, 205), 2];
      expect(values(await readMany(member, home, 7))).toEqual(expected);
      expect(await all(stream, input)).toEqual(expected);
      expect(await all(stream, input, ends)).toEqual(expected.slice(1));
      const followed: number[] = [];
      while (followed.length < 7) {
        followed.push(...values(await reader.read(10)));
        await reader.changed(100);
      }
      expect(followed).toEqual(expected);
      await Promise.all(producers.map((producer) => producer.disconnect()));
    });

    it('are read however others have compressed them, and whatever is in them', async () => {
      const producer = foreignClient(cluster()).producer({ createPartitioner: Partitioners.DefaultPartitioner });
      await producer.connect();
      for (const compression of [CompressionTypes.None, CompressionTypes.GZIP]) {
        await producer.send({ topic: nameOf(input), compression, messages: numbers(0, 200).map(message) });
      }
      const strange: Message[] = [
        { key: null, value: '7', partition: home, headers: { trace: 'x', empty: '' } },
        { key: 'k', value: Buffer.alloc(0), partition: home },
        { key: 'k', value: null, partition: home },
        { key: Buffer.from([0, 0, 0, 0]), value: Buffer.from([0xff, 0xfe]), partition: home },
      ];
      await producer.send({ topic: nameOf(input), messages: strange });
      await producer.disconnect();
      const member = await stream.join('group', input);
      const read = await readMany(member, home, 403);
      expect(values(read)).toEqual([...numbers(0, 200), ...numbers(0, 200), 7, 0]);
      expect(read.filter(isPoison).map(({ payload }) => [...payload])).toEqual([[0xff, 0xfe]]);
    });

    it('carry their trace contexts in the header that others know, also through transactions of stages', async () => {
      const context = (span: number): string => `00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b${span}-01`;
      const client = foreignClient(cluster());
      const producer = client.producer({ createPartitioner: Partitioners.DefaultPartitioner });
      await producer.connect();
      const headers = { before: 'x', traceparent: context(0), 'traceparent-of-another': 'y' };
      await producer.send({ topic: nameOf(input), messages: [{ ...message(1), headers }, message(2)] });
      await producer.disconnect();
      const member = await stream.join('group', input);
      const read = await readMany(member, home, 2);
      expect(read.map(({ trace }) => trace)).toEqual([context(0), undefined]);
      await member.commit(home, read, [{ ...outgoing(spread, 8), trace: context(1) }, outgoing(spread, 9)]);
      CompressionCodecs[CompressionTypes.LZ4] = () => ({
        compress: () => Promise.reject(new Error('is only to be read')),
        decompress: (bytes: Buffer) => Promise.resolve(decompressFrameSync(bytes)),
      });
      const consumer = client.consumer({ groupId: `${options.prefix}foreign`, retry: { initialRetryTime: 5 } });
      await consumer.connect();
      await consumer.subscribe({ topic: nameOf(spread), fromBeginning: true });
      const seen = new Map<string, string>();
      await consumer.run({
        eachMessage: async ({ message: { value, headers: own } }) => {
          seen.set(
            String(value),
            JSON.stringify(own, (_, each: unknown) => (Buffer.isBuffer(each) ? 'bytes' : each)),
          );
          seen.set(`${String(value)}/traceparent`, String(own?.['traceparent']));
          await Promise.resolve();
        },
      });
      while (seen.size < 4) await sleep(50);
      await consumer.disconnect();
      expect(seen.get('8/traceparent')).toBe(context(1));
      expect(seen.get('9')).toBe('{}');
    });

    it('that the brokers have compacted away leave nothing to wait for', async () => {
      const table = { ...latest, name: 'compacting' };
      await withAdmin(cluster(), (admin) =>
        admin.createTopics({
          waitForLeaders: false,
          topics: [
            {
              topic: nameOf(table),
              numPartitions: 3,
              configEntries: Object.entries({
                'cleanup.policy': 'compact',
                'segment.ms': '200',
                'min.cleanable.dirty.ratio': '0.001',
                'delete.retention.ms': '0',
              }).map(([name, value]) => ({ name, value })),
            },
          ],
        }),
      );
      const other = await openKafkaStream({ ...options, topics: [table] });
      const round = (first: number): Promise<void> =>
        other.append(numbers(first, first + 30).map((value) => outgoing(table, value)));
      for (const first of [100, 200, 300, 400]) {
        await round(first);
        if (first === 300) await other.append(numbers(0, 10).map((key) => removal(table, key)));
        await sleep(250);
      }
      const sum = (parts: readonly number[]): number => parts.reduce((total, part) => total + part);
      let left: number[];
      // Until the cleaner has come by; it leaves what was written last as it is.
      do {
        await round(500);
        await sleep(300);
        left = await all(other, table);
      } while (left.some((value) => value < 500));
      expect([...(await other.table(table)).values()].sort((a, b) => a - b)).toEqual(numbers(500, 530));
      expect(sum(await other.endOffsets(table))).toBeGreaterThan(left.length);
      const member = await other.join('group', table);
      const counts = await Promise.all(
        member.assigned().map(async (partition) => {
          const expected = (await other.table(table, partition)).size;
          return new Set(values(await readMany(member, partition, expected)).map((value) => value % 100)).size;
        }),
      );
      expect(sum(counts)).toBe(30);
      await other.close();
    });

    it('that were deleted before they were read are missed, not passed over', async () => {
      await stream.append(numbers(0, 20).map((value) => outgoing(input, value)));
      const member = await stream.join('group', input);
      await member.commit(home, await readMany(member, home, 5), []);
      await member.leave();
      await withAdmin(cluster(), async (admin) => {
        await admin.fetchTopicMetadata({ topics: [nameOf(input)] });
        await admin.deleteTopicRecords({ topic: nameOf(input), partitions: [{ partition: home, offset: '10' }] });
      });
      expect((await stream.startOffsets(input))[home]).toBe(10);
      expect(await all(stream, input)).toEqual(numbers(10, 20));
      const from = numbers(0, stream.partitions).map((partition) => (partition === home ? 7 : 0));
      await expect(all(stream, input, from)).rejects.toThrow(
        /numbers, partition 0, offset 7 is not there any more.*retention/s,
      );
      await expect(stream.follow(input, from)).rejects.toThrow(InputError);
      const late = await stream.join('group', input);
      await expect(readMany(late, home, 1)).rejects.toThrow(/offset 5 is not there any more: records were deleted/);
      const fresh = await stream.join('fresh', input);
      expect(values(await readMany(fresh, home, 10))).toEqual(numbers(10, 20));
    });

    it('are fetched ahead up to a limit, and beyond it as far as somebody waits for them', async () => {
      const wide: Topic<number> = {
        ...input,
        codec: {
          // They cannot be compressed.
          encode: (value) => Buffer.concat([Buffer.from([value >> 8, value & 0xff]), randomBytes(10_000)]),
          decode: ([high, low]) => high! * 256 + low!,
        },
      };
      const limited = await openKafkaStream({ ...options, readAheadBytes: 50_000 });
      for (let start = 0; start < 600; start += 20) {
        await limited.append(numbers(start, start + 20).map((value) => outgoing(wide, value)));
      }
      const member = await limited.join('group', wide);
      await readMany(member, home, 1);
      await sleep(300);
      // One fetch goes beyond the limit.
      const ahead = await member.read(home, 10_000);
      expect(ahead.length).toBeLessThan(600);
      expect(values(await readMany(member, home, 600))).toEqual(numbers(0, 600));
      await limited.close();
    });
  });
}
