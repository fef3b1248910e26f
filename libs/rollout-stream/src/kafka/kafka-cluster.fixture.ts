import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, it } from 'vitest';
import {
  kafkaAvailable,
  startCluster,
  type ClusterOptions,
  type KafkaCluster,
} from '../../../../tools/kafka/index.mjs';
import type { KafkaStreamOptions } from './options.js';

/**
 * Tests that need a cluster of real brokers, which is started before them and stopped after. Where there is no Java or no
 * Maven they are left out, with the reason; in CI that is a failure.
 */
export function describeWithKafka(
  name: string,
  options: Omit<ClusterOptions, 'folder'>,
  tests: (cluster: () => KafkaCluster) => void,
): void {
  const available = kafkaAvailable();
  if (!available.ok) {
    const reason = available.missing.join(' ');
    if (process.env.CI) it(name, () => Promise.reject(new Error(`This is left out, in CI: ${reason}`)));
    else describe.skip(`${name} (left out: ${reason})`, () => it('needs a broker'));
    return;
  }
  describe(name, () => {
    let cluster: KafkaCluster;
    let folder: string;
    beforeAll(async () => {
      folder = mkdtempSync(join(tmpdir(), 'kafka-'));
      cluster = await startCluster({ folder, timeoutSeconds: 180, ...options });
    }, 240_000);
    afterAll(async () => {
      await cluster.stop();
      rmSync(folder, { recursive: true, force: true });
    });
    tests(() => cluster);
  });
}

let opened = 0;

/** Options of a stream that shares nothing with those of other tests, and notices quickly who comes and goes. */
export function testOptions(brokers: readonly string[]): KafkaStreamOptions {
  return {
    brokers,
    clientId: 'test',
    partitions: 3,
    prefix: `test-${opened++}.`,
    sessionTimeoutMs: 1500,
    heartbeatIntervalMs: 50,
  };
}
