import { Kafka, logLevel } from 'kafkajs';

/**
 * Looks at a cluster past its fault proxies.
 *
 * @param {readonly string[]} brokers
 */
export function clusterHealth(brokers) {
  const kafka = new Kafka({
    clientId: 'chaos',
    brokers: [...brokers],
    logLevel: logLevel.NOTHING,
    connectionTimeout: 1000,
    requestTimeout: 5000,
    retry: { retries: 0 },
  });

  return {
    /** @returns {Promise<boolean>} whether every partition of every topic has all its copies in sync */
    async isWhole() {
      const admin = kafka.admin();
      try {
        await admin.connect();
        const { topics } = await admin.fetchTopicMetadata();
        return topics.every((topic) => topic.partitions.every(({ replicas, isr }) => isr.length === replicas.length));
      } catch {
        // A broker that does not answer is not in sync.
        return false;
      } finally {
        await admin.disconnect().catch(() => undefined);
      }
    },
  };
}
