import { isConnectionFailure, isTransient } from './broker-errors.js';
import { protocolError } from './kafkajs-internals.js';
import type { Network } from './network.js';
import { retrying, type RetryOptions } from './retry.js';

/** How to wait while brokers change places. */
export type Patience = Pick<RetryOptions, 'signal' | 'onTrouble'>;

/**
 * An end of a partition: its first record; `last`, after the last transaction that has ended; or `appended`, after all that
 * is there, also of transactions that go on.
 */
export type PartitionEnd = 'first' | 'last' | 'appended';

/**
 * Offsets of ends of partitions of a topic, in the order asked for.
 *
 * @param topic as the brokers name it
 */
export async function endsOf(
  network: Network,
  topic: string,
  partitions: readonly number[],
  end: PartitionEnd,
  patience: Patience,
): Promise<number[]> {
  const timestamp = end === 'first' ? -2 : -1;
  const isolationLevel = end === 'appended' ? 0 : 1;
  return Promise.all(
    partitions.map((partition) =>
      asking(network, patience, async () => {
        const leader = await network.leader(topic, partition);
        const { responses } = await network.ask(leader, (broker) =>
          broker.listOffsets({ isolationLevel, topics: [{ topic, partitions: [{ partition, timestamp }] }] }),
        );
        return Number(responses[0]!.partitions[0]!.offset);
      }),
    ),
  );
}

/**
 * The offsets that a group reads next, in the order asked for; −1 where it has not committed any.
 *
 * @param topic as the brokers name it
 */
export async function committedOffsets(
  network: Network,
  groupId: string,
  topic: string,
  partitions: readonly number[],
  patience: Patience,
): Promise<number[]> {
  return asking(network, patience, async () => {
    try {
      const nodeId = await network.coordinator('group', groupId);
      const { responses } = await network.ask(nodeId, (broker) =>
        broker.offsetFetch({
          groupId,
          topics: [{ topic, partitions: partitions.map((partition) => ({ partition })) }],
        }),
      );
      const found = new Map(responses[0]!.partitions.map((answer) => [answer.partition, answer]));
      return partitions.map((partition) => {
        const { offset, errorCode } = found.get(partition)!;
        const failure = protocolError(errorCode);
        if (failure) throw failure;
        return Number(offset);
      });
    } catch (error) {
      network.reconsider(error, 'group', groupId);
      throw error;
    }
  });
}

/** Asks until there is an answer. */
export function asking<T>(network: Network, patience: Patience, ask: () => Promise<T>): Promise<T> {
  return retrying(
    async () => {
      try {
        return await ask();
      } catch (error) {
        network.reconsider(error);
        throw error;
      }
    },
    { while: (error) => isTransient(error) || isConnectionFailure(error), ...patience },
  );
}
