import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe } from 'vitest';
import { startCluster, type KafkaCluster } from '../../../../tools/kafka/index.mjs';
import { conformanceTopics, type StreamUnderTest } from '../conformance-topics.fixture.js';
import { describeRolloutStream } from '../conformance.fixture.js';
import { openKafkaStream } from './kafka-stream.js';

let cluster: KafkaCluster;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'kafka-'));
  cluster = await startCluster({ folder });
}, 120_000);
afterAll(async () => {
  await cluster.stop();
  rmSync(folder, { recursive: true, force: true });
});

let streams = 0;

describe('over Kafka', () => {
  describeRolloutStream('the Kafka stream', async () => {
    const options = {
      brokers: cluster.brokers.plaintext,
      clientId: 'conformance',
      topics: conformanceTopics,
      partitions: 3,
      prefix: `test-${streams++}.`,
      heartbeatIntervalMs: 50,
    };
    const tested: StreamUnderTest = {
      stream: await openKafkaStream(options),
      async reopen() {
        await tested.stream.close();
        return (tested.stream = await openKafkaStream(options));
      },
      remove: () => tested.stream.close(),
    };
    return tested;
  });
});
