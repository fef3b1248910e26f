import { InputError } from '@infalign/core';
import { messageOf } from '../encoded-record.js';

/** No broker could be connected to: the request has not been sent. */
export class Unreachable extends Error {
  override name = 'Unreachable';
}

/** The stream was closed while something was under way. */
export class StreamClosed extends Error {
  override name = 'StreamClosed';
}

/** Another producer has taken over the transactional id, or its transaction took longer than it may. */
export class ProducerFenced extends Error {
  override name = 'ProducerFenced';
}

// Leaders and coordinators are elsewhere now: look again.
const moved = new Set([
  'NOT_LEADER_FOR_PARTITION',
  'LEADER_NOT_AVAILABLE',
  'UNKNOWN_TOPIC_OR_PARTITION',
  'FENCED_LEADER_EPOCH',
  'UNKNOWN_LEADER_EPOCH',
  'REPLICA_NOT_AVAILABLE',
  'KAFKA_STORAGE_ERROR',
  'BROKER_NOT_AVAILABLE',
  'NOT_CONTROLLER',
  'NOT_COORDINATOR_FOR_GROUP',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
]);

// They pass.
const busy = new Set([
  'GROUP_LOAD_IN_PROGRESS',
  'CONCURRENT_TRANSACTIONS',
  'NOT_ENOUGH_REPLICAS',
  'NOT_ENOUGH_REPLICAS_AFTER_APPEND',
  'OFFSET_NOT_AVAILABLE',
  'REQUEST_TIMED_OUT',
  'NETWORK_EXCEPTION',
]);

const fenced = new Set(['INVALID_PRODUCER_EPOCH', 'INVALID_PRODUCER_ID_MAPPING']);

/** Kafka's name of the error that a broker answered with; of other errors, the name. */
export function errorType(error: unknown): string {
  const { type, name } = error as { type?: string; name?: string };
  return type ?? name ?? '';
}

/** Whether leaders or coordinators have to be looked up anew. */
export function hasMoved(error: unknown): boolean {
  return moved.has(errorType(error)) || error instanceof Unreachable || isConnectionFailure(error);
}

/** Whether the broker's answer was that the same request may succeed later: nothing has come of this one. */
export function isTransient(error: unknown): boolean {
  return moved.has(errorType(error)) || busy.has(errorType(error)) || error instanceof Unreachable;
}

/** Whether there was no answer: the request may or may not have been carried out. */
export function isConnectionFailure(error: unknown): boolean {
  return /^KafkaJS(Connection|RequestTimeout|LockTimeout)/.test((error as { name?: string }).name ?? '');
}

/** Whether a connection failed because the two sides do not trust each other, or one of them does not speak TLS. */
export function isTlsFailure(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|ERR_SSL|ERR_TLS|EPROTO/.test(code);
}

/** Whether the producer's transactional id is another one's now. */
export function isFenced(error: unknown): boolean {
  // 90 is PRODUCER_FENCED, which kafkajs does not know.
  return error instanceof ProducerFenced || fenced.has(errorType(error)) || /error code 90$/.test(messageOf(error));
}

/** What the user has to change, as an InputError; any other error as it is. */
export function explained(error: unknown): unknown {
  const type = errorType(error);
  if (/AUTHORIZATION_FAILED|SASL|AUTHENTICATION/i.test(type)) {
    return new InputError(
      `The Kafka brokers refuse access: ${messageOf(error)}. Check the user name, the password or the certificate, and what ` +
        'they may do there.',
      { cause: error },
    );
  }
  if (type === 'MESSAGE_TOO_LARGE' || type === 'RECORD_LIST_TOO_LARGE') {
    return new InputError(
      `The Kafka brokers refuse a record, or a batch of records that stay together, as large as this one: ` +
        `${messageOf(error)}. Raise max.message.bytes of the topic, or make batches smaller (sampling.batch_rollouts).`,
      { cause: error },
    );
  }
  return error;
}
