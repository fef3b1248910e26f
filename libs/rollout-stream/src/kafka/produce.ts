import { createEncoder, protocolError, type Broker } from './kafkajs-internals.js';

/** One batch, and where it goes. */
export interface ProducedBatch {
  readonly transactionalId: string;
  /** As the brokers name it. */
  readonly topic: string;
  readonly partition: number;
  readonly batch: Buffer;
  /** How long the leader may wait for its followers, in milliseconds. */
  readonly timeoutMs: number;
}

/**
 * Sends one batch to the leader of one partition, and waits until all replicas in sync have it.
 *
 * @throws Error of Kafka's type, such as NOT_LEADER_FOR_PARTITION
 */
export async function produceBatch(
  broker: Broker,
  { transactionalId, topic, partition, batch, timeoutMs }: ProducedBatch,
): Promise<void> {
  const errorCode = await broker.connectionPool.send({
    request: {
      apiKey: 0,
      apiVersion: 7,
      apiName: 'Produce',
      encode: () =>
        Promise.resolve(
          createEncoder(batch.length + 512)
            .writeString(transactionalId)
            .writeInt16(-1)
            .writeInt32(timeoutMs)
            .writeInt32(1)
            .writeString(topic)
            .writeInt32(1)
            .writeInt32(partition)
            .writeBytes(batch),
        ),
    },
    response: {
      decode: (bytes) => Promise.resolve(decodeErrorCode(bytes)),
      parse: (decoded) => Promise.resolve(decoded),
    },
  });
  const failure = protocolError(errorCode);
  // 46: an earlier attempt whose answer was lost has arrived.
  if (failure && errorCode !== 46) throw failure;
}

/** The error code in the answer to a request of version 7, of one partition. */
function decodeErrorCode(bytes: Buffer): number {
  const topics = bytes.readInt32BE(0);
  const topicLength = bytes.readInt16BE(4);
  const partitionsAt = 6 + topicLength;
  if (topics !== 1 || bytes.readInt32BE(partitionsAt) !== 1) {
    throw new Error('A Kafka broker answered for other partitions than the one that was sent.');
  }
  return bytes.readInt16BE(partitionsAt + 8);
}
