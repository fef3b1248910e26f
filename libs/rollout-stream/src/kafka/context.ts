import { InputError } from '@infalign/core';
import { encodeRecord, type EncodedRecord } from '../encoded-record.js';
import type { OutgoingRecord, Topic } from '../topic.js';
import type { Network } from './network.js';
import type { KafkaSettings } from './options.js';
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
  readonly producer: Pick<ProducerContext, 'topicName' | 'transactionTimeoutMs'>;
  /** Given when the stream is closed. */
  readonly signal: AbortSignal;
  /** Logs that there is lasting trouble with the brokers, and, given nothing, that it has passed. */
  readonly trouble: (fields: Readonly<Record<string, unknown>>) => (error: unknown) => void;
}

/** @throws InputError if a record is not a valid one of its topic, or too large */
export function encodeOutputs(context: StreamContext, outputs: readonly OutgoingRecord[]): EncodedRecord[] {
  const { maxRecordBytes } = context.settings;
  return outputs.map((output) => {
    const encoded = encodeRecord(output, context.partitions);
    const bytes = Buffer.byteLength(encoded.key) + (encoded.payload?.length ?? 0);
    if (bytes <= maxRecordBytes) return encoded;
    throw new InputError(
      `A record for ${output.topic.name} has ${bytes} bytes; ${maxRecordBytes} are allowed. Make it smaller, or raise the ` +
        'limit where streams are opened and topics are made.',
    );
  });
}
