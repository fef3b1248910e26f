import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { client, connected, consume, createTopic, produce } from './clients.fixture.mjs';
import { startCluster } from './index.mjs';

const folder = mkdtempSync(join(tmpdir(), 'infalign-kafka-'));
let cluster;

beforeAll(async () => {
  cluster = await startCluster({ folder, nodes: 3, proxied: true });
  await createTopic(client(cluster.brokers.plaintext), 'words');
});
afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true, force: true });
});

const partition = () =>
  connected(client(cluster.brokers.plaintext).admin(), async (admin) => {
    const { topics } = await admin.fetchTopicMetadata({ topics: ['words'] });
    return topics[0].partitions[0];
  });

it('has every record on every node', async () => {
  expect((await partition()).replicas.toSorted()).toEqual([1, 2, 3]);
});

it('goes on when a node is killed, and takes it back', async () => {
  const kafka = client(cluster.brokers.plaintext);
  await produce(kafka, 'words', ['before']);
  const { leader } = await partition();
  await cluster.node(leader).kill();
  expect(cluster.node(leader).pid).toBeUndefined();

  await produce(kafka, 'words', ['without it']);
  expect(await consume(kafka, 'words', 2)).toEqual(['before', 'without it']);
  expect((await partition()).leader).not.toBe(leader);

  await cluster.node(leader).start();
  await expect.poll(async () => (await partition()).isr.length, { timeout: 20_000 }).toBe(3);
});

it('leads clients through the fault proxies, which cut them off one node at a time', async () => {
  const kafka = client(cluster.brokers.proxied, { retry: { retries: 0 }, connectionTimeout: 1000 });
  const { leader } = await partition();
  await produce(kafka, 'words', ['through']);
  await cluster.node(leader).proxy.cut();
  await expect(produce(kafka, 'words', ['cut off'])).rejects.toThrow();
  await produce(client(cluster.brokers.plaintext), 'words', ['past the proxy']);
  await cluster.node(leader).proxy.restore();
  await produce(kafka, 'words', ['through again']);
});

it('answers nothing on a node that is paused, until it goes on', async () => {
  const node = cluster.node(1);
  const only = client([cluster.brokers.plaintext[0]], { retry: { retries: 0 }, requestTimeout: 300 });
  node.pause();
  await expect(connected(only.admin(), (admin) => admin.listTopics())).rejects.toThrow(/timed out/i);
  node.resume();
  const patient = client([cluster.brokers.plaintext[0]]);
  expect(await connected(patient.admin(), (admin) => admin.listTopics())).toContain('words');
});
