import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { InputError } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import type { KafkaCluster } from '../../../../tools/kafka/index.mjs';
import {
  all,
  conformanceTopics,
  copies,
  input,
  latest,
  numbers,
  output,
  readMany,
  spread,
} from '../conformance-topics.fixture.js';
import { PartitionLost, type RolloutStream } from '../rollout-stream.js';
import { outgoing, partitionOfKey, type Topic } from '../topic.js';
import { foreignClient, withAdmin } from './foreign-client.fixture.js';
import { testOptions } from './kafka-cluster.fixture.js';
import { openKafkaStream } from './kafka-stream.js';
import type { KafkaSecurity, KafkaStreamOptions } from './options.js';

/** How a stream is opened, and how it is not. */
export function describeOpening(cluster: () => KafkaCluster): void {
  const options = (): KafkaStreamOptions => ({
    ...testOptions(cluster().brokers.plaintext),
    topics: [input, output, latest],
    openingTimeoutMs: 2000,
  });

  describe('a stream is opened', () => {
    it('over each kind of secured connection, and carries records there', async () => {
      const { brokers, tls, scram } = cluster();
      const ca = readFileSync(tls.ca, 'utf8');
      const certificate = { cert: readFileSync(tls.clientCert, 'utf8'), key: readFileSync(tls.clientKey, 'utf8') };
      const ways: [readonly string[], KafkaSecurity][] = [
        [brokers.sasl, { sasl: { mechanism: 'scram-sha-256', ...scram } }],
        [brokers.saslTls, { tls: { ca }, sasl: { mechanism: 'scram-sha-512', ...scram } }],
        [brokers.tls, { tls: { ca, ...certificate } }],
      ];
      const shared = options();
      for (const [index, [addresses, security]] of ways.entries()) {
        const stream = await openKafkaStream({ ...shared, brokers: addresses, security });
        await stream.append([outgoing(input, index)]);
        const member = await stream.join('group', input);
        const home = partitionOfKey('all', stream.partitions);
        await member.commit(home, await readMany(member, home, 1), [outgoing(output, index)]);
        expect(await all(stream, output)).toEqual(numbers(0, index + 1));
        await stream.close();
      }
    });

    it('only with the right password and certificates, or one message says what is wrong, and no secret', async () => {
      const { brokers, tls, scram } = cluster();
      const ca = readFileSync(tls.ca, 'utf8');
      const wrong = { mechanism: 'scram-sha-256', username: scram.username, password: 'secret-of-nobody' } as const;
      const refusals: [Partial<KafkaStreamOptions>, RegExp][] = [
        [{ brokers: brokers.sasl, security: { sasl: wrong } }, /refuse access.*Check the user name/s],
        [{ brokers: brokers.saslTls, security: { tls: {}, sasl: wrong } }, /cannot be secured: .*certificate/s],
        [{ brokers: brokers.plaintext, security: { tls: { ca } } }, /cannot be (secured|used)/],
        [{ brokers: brokers.tls, security: { tls: { ca } } }, /cannot be (secured|used)/],
        [{ brokers: brokers.tls }, /cannot be used/],
        [{ brokers: ['127.0.0.1:1'] }, /127.0.0.1:1 cannot be used: .*ECONNREFUSED.*Check that they run/s],
      ];
      for (const [different, message] of refusals) {
        const opened = openKafkaStream({ ...options(), ...different });
        await expect(opened).rejects.toThrow(InputError);
        await expect(opened).rejects.toThrow(message);
        await expect(opened).rejects.not.toThrow('secret-of-nobody');
      }
    });

    it('without encryption only to this machine, unless that is allowed by name', async () => {
      for (const host of ['192.0.2.1:9092', 'kafka.example:9092']) {
        await expect(openKafkaStream({ ...options(), brokers: [host] })).rejects.toThrow(
          /another machine.*allow-off-loopback/s,
        );
      }
      const distant = { brokers: ['192.0.2.1:9092'], openingTimeoutMs: 200 };
      await expect(
        openKafkaStream({ ...options(), ...distant, security: { plaintext: 'allow-off-loopback' } }),
      ).rejects.toThrow('cannot be used');
    });

    it('with valid options only', async () => {
      const invalid: [Partial<KafkaStreamOptions>, string][] = [
        [{ brokers: [] }, 'no brokers are given'],
        [{ brokers: ['localhost'] }, 'not the address of a broker'],
        [{ brokers: ['localhost:99999'] }, 'not the address of a broker'],
        [{ partitions: 0 }, 'partitions: 0'],
        [{ sessionTimeoutMs: 1.5 }, 'sessionTimeoutMs: 1.5'],
        [{ prefix: 'a/b' }, 'cannot begin names'],
        [{ security: { tls: { cert: 'PEM' } } }, 'go together'],
        [{ replicationFactor: 2 }, 'Replication-factor is invalid'],
      ];
      for (const [different, message] of invalid) {
        const opened = openKafkaStream({ ...options(), ...different });
        await expect(opened).rejects.toThrow(InputError);
        await expect(opened).rejects.toThrow(message);
      }
    });

    it('by many at once, which make its topics once, with what they need', async () => {
      const shared = { ...options(), topics: conformanceTopics, retentionHours: 5 };
      const streams = await Promise.all(numbers(0, 4).map(() => openKafkaStream(shared)));
      await streams[0]!.append([outgoing(input, 1)]);
      for (const stream of streams) expect(await all(stream, input)).toEqual([1]);
      await Promise.all(streams.map((stream) => stream.close()));
      await withAdmin(cluster(), async (admin) => {
        const { resources } = await admin.describeConfigs({
          includeSynonyms: false,
          resources: [latest, spread, copies].map(({ name }) => ({ type: 2, name: `${shared.prefix}${name}` })),
        });
        const settings = resources.map(({ configEntries }) =>
          Object.fromEntries(configEntries.map(({ configName, configValue }) => [configName, configValue])),
        );
        expect(settings[0]).toMatchObject({ 'cleanup.policy': 'compact', 'min.insync.replicas': '1' });
        expect(settings[1]).toMatchObject({ 'cleanup.policy': 'delete', 'retention.ms': String(5 * 3_600_000) });
        expect(settings[2]).toMatchObject({ 'cleanup.policy': 'delete', 'retention.ms': '-1' });
      });
    });

    it('with the partitions that its topics have, which is the same number for all', async () => {
      const shared = options();
      await (await openKafkaStream({ ...shared, topics: [input], partitions: 2 })).close();
      const stream = await openKafkaStream({ ...shared, topics: [input, output], partitions: 5 });
      expect(stream.partitions).toBe(2);
      expect(await stream.endOffsets(output)).toEqual([0, 0]);
      await stream.close();
      await withAdmin(cluster(), (admin) =>
        admin.createPartitions({ topicPartitions: [{ topic: `${shared.prefix}${output.name}`, count: 3 }] }),
      );
      await expect(openKafkaStream({ ...shared, topics: [input, output] })).rejects.toThrow(
        /squares has 3 partitions, and .*numbers has 2/,
      );
    });

    it('only if its tables do not forget', async () => {
      const shared = options();
      await withAdmin(cluster(), (admin) =>
        admin.createTopics({
          waitForLeaders: false,
          topics: [{ topic: `${shared.prefix}${latest.name}`, numPartitions: 3 }],
        }),
      );
      await expect(openKafkaStream(shared)).rejects.toThrow(/latest is a table, but its cleanup.policy is delete/);
    });

    it('for its topics alone', async () => {
      const stream = await openKafkaStream(options());
      await expect(stream.append([outgoing(spread, 1)])).rejects.toThrow('Topic spread is not one of those');
      await expect(stream.join('group', spread)).rejects.toThrow('Topic spread is not one of those');
      await expect(stream.endOffsets(spread)).rejects.toThrow('Topic spread is not one of those');
      await stream.append([outgoing(input, 1)]);
      await stream.close();
    });

    it('and refuses records that are too large, without harm to what follows', async () => {
      const stream = await openKafkaStream({ ...options(), maxRecordBytes: 1000 });
      const long = { ...output, codec: { ...output.codec, encode: () => Buffer.alloc(1001) } };
      await expect(stream.append([outgoing(input, 1), outgoing(long, 2)])).rejects.toThrow(InputError);
      await stream.append([outgoing(input, 3)]);
      const member = await stream.join('group', input);
      const home = partitionOfKey('all', stream.partitions);
      const batch = await readMany(member, home, 1);
      await expect(member.commit(home, batch, [outgoing(long, 4)])).rejects.toThrow(/1002 bytes; 1000 are allowed/);
      await member.commit(home, batch, [outgoing(output, 5)]);
      expect(await all(stream, input)).toEqual([3]);
      expect(await all(stream, output)).toEqual([5]);
      await stream.close();
    });

    it('and commits what was computed for longer than a session, unless another member has taken the partition', async () => {
      const warnings: string[] = [];
      const ignore = () => undefined;
      const log = { info: ignore, error: ignore, warn: (_: unknown, message: string) => void warnings.push(message) };
      const shared = { ...options(), log };
      const stream = await openKafkaStream(shared);
      await stream.append(numbers(0, 3).map((value) => outgoing(input, value)));
      const member = await stream.join('group', input);
      const home = partitionOfKey('all', stream.partitions);
      // Nothing else happens in this process meanwhile.
      const compute = () => execFileSync('sleep', ['4']);
      for (const value of [0, 1]) {
        const batch = (await readMany(member, home, 3 - value)).slice(0, 1);
        compute();
        await member.commit(home, batch, [outgoing(output, value)]);
      }
      expect(warnings.join()).not.toContain('session_timeout_ms');
      const batch = await readMany(member, home, 1);
      const transactionalId = `${shared.prefix}group-${shared.prefix}${input.name}-${home}`;
      const other = foreignClient(cluster()).producer({ transactionalId, maxInFlightRequests: 1, idempotent: true });
      await other.connect();
      await (await other.transaction()).abort();
      await expect(member.commit(home, batch, [outgoing(output, 2)])).rejects.toThrow(PartitionLost);
      expect(warnings.join()).toMatch(/What was computed is lost: .* raise stream\.session_timeout_ms/);
      await other.disconnect();
      expect(await all(stream, output)).toEqual([0, 1]);
      await stream.close();
    });

    it('and keeps batches in one piece that several append at the same time; those are refused that brokers do not take', async () => {
      const size = 1000;
      const batchOf = (value: number) => Math.floor(value / size);
      const topic: Topic<number> = {
        ...input,
        batchKey: (value) => String(batchOf(value)),
        codec: {
          encode: (value) => Buffer.from(`${value} ${randomBytes(300).toString('base64')}`),
          decode: (bytes) => Number.parseInt(Buffer.from(bytes).toString()),
        },
      };
      const shared = { ...options(), topics: [topic], maxRecordBytes: 1_000_000 };
      const streams = [await openKafkaStream(shared), await openKafkaStream(shared)];
      const append = (stream: RolloutStream, from: number, to: number) =>
        stream.append(numbers(from, to).map((value) => outgoing(topic, value)));
      for (let round = 0; round < 10; round++) {
        const first = 4 * size * round;
        await Promise.all(
          streams.map((stream, index) => append(stream, first + 2 * size * index, first + 2 * size * (index + 1))),
        );
      }
      const found = await all(streams[0]!, topic);
      expect(found).toHaveLength(40 * size);
      const changes = found.filter((value, index) => index > 0 && batchOf(value) !== batchOf(found[index - 1]!));
      expect(changes).toHaveLength(39);
      const tooLarge: Topic<number> = { ...topic, batchKey: () => 'all' };
      const refused = streams[0]!.append(numbers(0, 4 * size).map((value) => outgoing(tooLarge, value)));
      await expect(refused).rejects.toThrow(/a batch of records that stay together, as large .*make batches smaller/);
      await expect(refused).rejects.toThrow(InputError);
      expect(await all(streams[1]!, topic)).toHaveLength(40 * size);
      for (const stream of streams) await stream.close();
    });
  });
}
