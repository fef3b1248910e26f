import { Kafka, logLevel, type Admin } from 'kafkajs';
import type { KafkaCluster } from '../../../../tools/kafka/index.mjs';

/** Another client of the cluster: kafkajs as it is. */
export function foreignClient(cluster: KafkaCluster): Kafka {
  return new Kafka({ clientId: 'foreign', brokers: [...cluster.brokers.plaintext], logLevel: logLevel.NOTHING });
}

/** Does what administrators do. */
export async function withAdmin<T>(cluster: KafkaCluster, act: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = foreignClient(cluster).admin();
  await admin.connect();
  try {
    return await act(admin);
  } finally {
    await admin.disconnect();
  }
}
