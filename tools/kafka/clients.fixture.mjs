import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Kafka, logLevel, Partitioners } from 'kafkajs';

/**
 * @param {readonly string[]} brokers
 * @param {Partial<import('kafkajs').KafkaConfig>} settings
 */
export function client(brokers, settings = {}) {
  return new Kafka({ clientId: 'test', brokers: [...brokers], logLevel: logLevel.NOTHING, ...settings });
}

/** A client of each listener, with what the listener asks for. */
export function clientsByListener(cluster) {
  const settings = settingsByListener(cluster);
  return Object.fromEntries(
    Object.entries(settings).map(([listener, theirs]) => [listener, client(cluster.brokers[listener], theirs)]),
  );
}

/** What a client of each listener has to be configured with. */
export function settingsByListener({ tls, scram }) {
  const ca = [readFileSync(tls.ca)];
  const certificate = { cert: readFileSync(tls.clientCert), key: readFileSync(tls.clientKey) };
  return {
    plaintext: {},
    sasl: { sasl: { mechanism: 'scram-sha-256', ...scram } },
    saslTls: { ssl: { ca }, sasl: { mechanism: 'scram-sha-512', ...scram } },
    tls: { ssl: { ca, ...certificate } },
  };
}

/** Creates a topic, and waits until it can be written to. */
export async function createTopic(kafka, topic) {
  await connected(kafka.admin(), async (admin) => {
    // kafkajs can wait for leaders too, but fails where a broker has not yet heard of the topic.
    await admin.createTopics({ topics: [{ topic }], waitForLeaders: false });
    while (!(await hasLeaders(admin, topic))) await sleep(50);
  });
}

/** Whether the broker that answers knows the topic, and a leader of each of its partitions. */
async function hasLeaders(admin, topic) {
  try {
    const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
    return topics[0].partitions.every(({ leader }) => leader >= 0);
  } catch (error) {
    if (['UNKNOWN_TOPIC_OR_PARTITION', 'LEADER_NOT_AVAILABLE'].includes(error.type)) return false;
    throw error;
  }
}

export async function produce(kafka, topic, values) {
  const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner });
  await connected(producer, () => producer.send({ topic, messages: values.map((value) => ({ value })) }));
}

/** @returns {Promise<string[]>} the first `count` values of the topic, read by a new consumer group */
export async function consume(kafka, topic, count) {
  const consumer = kafka.consumer({ groupId: `group-${process.hrtime.bigint()}`, maxWaitTimeInMs: 100 });
  return connected(consumer, async () => {
    await consumer.subscribe({ topics: [topic], fromBeginning: true });
    const values = [];
    return new Promise((resolve, reject) => {
      // After an error that passes, a consumer starts again by itself.
      consumer.on('consumer.crash', ({ payload }) => payload.restart || reject(payload.error));
      const eachMessage = async ({ message }) => {
        values.push(message.value.toString());
        if (values.length === count) resolve(values);
      };
      consumer.run({ eachMessage }).catch(reject);
    });
  });
}

export async function connected(connection, action) {
  await connection.connect();
  try {
    return await action(connection);
  } finally {
    await connection.disconnect();
  }
}
