import { encodeRecord, InvalidRecord, type EncodedRecord } from '../encoded-record.js';
import type { OutgoingRecord, Topic } from '../topic.js';
import type { Network } from './network.js';
import type { KafkaSettings, StreamLog } from './options.js';
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
  /** By a producer's transactional id: resolves when its last transaction can be read. */
  readonly unseen: Map<string, () => Promise<void>>;
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

/** Resolves when everything that was committed through the stream so far can be read. */
export async function whenSeen({ unseen }: StreamContext): Promise<void> {
  const waited = [...unseen];
  await Promise.all(waited.map(([, whenVisible]) => whenVisible()));
  for (const [id, whenVisible] of waited) if (unseen.get(id) === whenVisible) unseen.delete(id);
}
