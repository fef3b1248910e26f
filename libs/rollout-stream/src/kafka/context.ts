import { encodeRecord, InvalidRecord, type EncodedRecord } from '../encoded-record.js';
import type { OutgoingRecord, Topic } from '../topic.js';
import { isConnectionFailure, isTransient } from './broker-errors.js';
import type { Network } from './network.js';
import type { KafkaSettings, StreamLog } from './options.js';
import { retrying } from './retry.js';
import { transactionState } from './transaction-state.js';
import type { ProducerContext } from './transactional-producer.js';

/** What everything that belongs to one stream shares. */
export interface StreamContext {
  readonly settings: KafkaSettings;
  readonly network: Network;
  /** Of every topic. */
  readonly partitions: number;
  /** What the brokers call a topic. */
  readonly topicName: (topic: Topic) => string;
  /** What producers have in common. */
  readonly producer: Pick<ProducerContext, 'topicName' | 'transactionTimeoutMs' | 'requestTimeoutMs' | 'unseen'>;
  /** Given when the stream is closed. */
  readonly signal: AbortSignal;
  /** The last transaction of each transactional id, unless it is known that it can be read. */
  readonly unseen: Map<string, symbol>;
  /** Told of lasting trouble with the brokers, and, with nothing, that it is over for whoever told of it. */
  readonly onTrouble: (error: unknown) => void;
}

/** Logs trouble with the brokers once, however many are in it: when it begins, and when it is over for all. */
export function troubleLog(log: StreamLog): StreamContext['onTrouble'] {
  let troubled = 0;
  return (error) => {
    if (error === undefined) {
      if (--troubled === 0) log.info({}, 'The trouble with the Kafka brokers is over');
    } else if (++troubled === 1) {
      log.warn({ err: error }, 'There is trouble with the Kafka brokers; what needs them waits');
    }
  };
}

/** @throws InvalidRecord if a record is not a valid one of its topic, or too large */
export function encodeOutputs(context: StreamContext, outputs: readonly OutgoingRecord[]): EncodedRecord[] {
  const { maxRecordBytes } = context.settings;
  return outputs.map((output) => {
    context.topicName(output.topic);
    const encoded = encodeRecord(output, context.partitions);
    const bytes = Buffer.byteLength(encoded.key) + (encoded.payload?.length ?? 0);
    if (bytes <= maxRecordBytes) return encoded;
    throw new InvalidRecord(
      `A record for ${output.topic.name} has ${bytes} bytes; ${maxRecordBytes} are allowed. Make it smaller, or raise the ` +
        'limit where streams are opened and topics are made.',
    );
  });
}

/** The partitions have not been told yet that a transaction has ended. */
class StillPreparing extends Error {
  override name = 'StillPreparing';
}

/** How long a transaction may take to be seen. It is committed, whether it is heard of or not. */
const visibleWithinMs = 20_000;

/**
 * Resolves when everything that was committed through the stream so far can be read: the coordinator of a transaction says
 * that it is committed before it has told the partitions. Whoever committed it may have left since.
 */
export async function whenSeen({ network, unseen, signal, onTrouble }: StreamContext): Promise<void> {
  await Promise.all(
    [...unseen].map(async ([transactionalId, transaction]) => {
      await retrying(
        async () => {
          try {
            const coordinator = await network.coordinator('transaction', transactionalId);
            const state = await network.ask(coordinator, (broker) => transactionState(broker, transactionalId));
            if (state.startsWith('Prepare')) throw new StillPreparing(`The transaction is in the state ${state}.`);
          } catch (error) {
            network.reconsider(error, 'transaction', transactionalId);
            throw error;
          }
        },
        {
          while: (error) => error instanceof StillPreparing || isTransient(error) || isConnectionFailure(error),
          signal,
          onTrouble,
          timeoutMs: visibleWithinMs,
          longestPauseMs: 10,
        },
      ).catch(() => undefined);
      if (unseen.get(transactionalId) === transaction) unseen.delete(transactionalId);
    }),
  );
}
