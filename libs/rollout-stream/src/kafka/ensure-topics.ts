import { InputError } from '@infalign/core';
import { messageOf } from '../encoded-record.js';
import type { Topic } from '../topic.js';
import { errorType, explained } from './broker-errors.js';
import { protocolError } from './kafkajs-internals.js';
import type { Network } from './network.js';
import { asking, type Patience } from './offsets.js';
import type { KafkaSettings } from './options.js';
import { topicConfiguration } from './topic-configuration.js';

/** How long the brokers may take to make topics, in milliseconds. */
const creationTimeoutMs = 30_000;
/**
 * Brokers that have just started, or come late with their heartbeats, are not counted among those that copies can be put on, nor told
 * apart from brokers that there are not: for this share of the time that opening may take, too few are taken to be late.
 */
const lateBrokersShare = 1 / 3;

/**
 * Makes what is missing of the topics, whoever else does the same at the same time, and waits until they can be used.
 *
 * @returns how many partitions each topic has
 * @throws InputError if topics that exist are not as they have to be, or may not be made
 */
export async function ensureTopics(
  network: Network,
  settings: KafkaSettings,
  topicName: (topic: Topic) => string,
  patience: Patience,
): Promise<number> {
  const { topics } = settings;
  const names = topics.map(topicName);
  const existing = await countPartitions(network, names, patience);
  const missing = topics.filter((topic) => !existing.has(topicName(topic)));
  if (missing.length > 0) {
    // Who adds a topic later goes by those that are there.
    const partitions = existing.values().next().value ?? settings.partitions;
    await create(
      network,
      settings,
      missing.map((topic) => ({ topic, name: topicName(topic), partitions })),
      patience,
    );
  }
  const counts = await asking(network, patience, async () => {
    const found = await countPartitions(network, names, patience);
    // Not every broker knows of them at once.
    if (found.size < names.length) throw protocolError(5)!;
    return found;
  });
  const [count] = new Set(counts.values());
  for (const [name, partitions] of counts) {
    if (partitions === count) continue;
    throw new InputError(
      `Kafka: the topic ${name} has ${partitions} partitions, and ${names[0]} has ${count}. All of them need the same number: ` +
        'make them anew, or use another prefix.',
    );
  }
  await checkTables(network, topics.filter(({ compacted }) => compacted).map(topicName), patience);
  return count!;
}

/** By the topic, how many partitions it has; of those that exist and whose partitions all have leaders. */
async function countPartitions(
  network: Network,
  names: readonly string[],
  patience: Patience,
): Promise<Map<string, number>> {
  return asking(network, patience, async () => {
    const counts = new Map<string, number>();
    const { topicMetadata } = await network.describe(names);
    for (const { topic, topicErrorCode, partitionMetadata } of topicMetadata) {
      const failure = protocolError(topicErrorCode);
      if (failure && errorType(failure) !== 'UNKNOWN_TOPIC_OR_PARTITION') throw explained(failure);
      if (failure) continue;
      if (partitionMetadata.some(({ leader }) => leader < 0)) throw protocolError(5)!;
      counts.set(topic, partitionMetadata.length);
    }
    return counts;
  });
}

interface NewTopic {
  readonly topic: Topic;
  readonly name: string;
  readonly partitions: number;
}

async function create(
  network: Network,
  settings: KafkaSettings,
  missing: readonly NewTopic[],
  patience: Patience,
): Promise<void> {
  const start = performance.now();
  await asking(network, patience, async () => {
    const { brokers, controllerId } = await network.describe([]);
    const replicationFactor = settings.replicationFactor ?? Math.min(3, brokers.length);
    const topics = missing.map(({ topic, name, partitions }) => ({
      topic: name,
      numPartitions: partitions,
      replicationFactor,
      configEntries: Object.entries(topicConfiguration(topic, settings, replicationFactor)).map(([key, value]) => ({
        name: key,
        value: String(value),
      })),
    }));
    try {
      await network.ask(controllerId, (broker) => broker.createTopics({ topics, timeout: creationTimeoutMs }));
    } catch (error) {
      const { errors = [error] } = error as { errors?: unknown[] };
      const failure = errors.find((one) => errorType(one) !== 'TOPIC_ALREADY_EXISTS');
      if (!failure) return;
      const mayBeLate = performance.now() - start < lateBrokersShare * settings.openingTimeoutMs;
      throw errorType(failure) === 'INVALID_REPLICATION_FACTOR' && mayBeLate ? protocolError(5)! : refusal(failure);
    }
  });
}

/** @throws InputError if what is to be a table forgets records by their age */
async function checkTables(network: Network, names: readonly string[], patience: Patience): Promise<void> {
  if (names.length === 0) return;
  const { resources } = await asking(network, patience, () =>
    network.askAny((broker) =>
      broker.describeConfigs({
        resources: names.map((name) => ({ type: 2, name, configNames: ['cleanup.policy'] })),
      }),
    ),
  );
  for (const { resourceName, configEntries } of resources) {
    const policy = configEntries.find(({ configName }) => configName === 'cleanup.policy')?.configValue;
    if (policy === 'compact') continue;
    throw new InputError(
      `Kafka: the topic ${resourceName} is a table, but its cleanup.policy is ${policy}, not compact: it would forget. ` +
        'Change the policy, or make the topic anew.',
    );
  }
}

function refusal(error: unknown): unknown {
  const type = errorType(error);
  if (/^(INVALID_|POLICY_VIOLATION)/.test(type)) {
    const { topic } = error as { topic?: string };
    return new InputError(`Kafka: the topic ${topic} could not be made: ${messageOf(error)} (${type}).`, {
      cause: error,
    });
  }
  return explained(error);
}
