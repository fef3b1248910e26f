import { InputError } from '@infalign/core';
import { allTopics } from '../topics.js';
import type { Topic } from '../topic.js';
import type { BrokerAddress, ConnectionSettings } from './kafkajs-internals.js';

/** Where a stream tells what goes wrong, once each; pino's loggers are such. */
export interface StreamLog {
  info(fields: Readonly<Record<string, unknown>>, message: string): void;
  warn(fields: Readonly<Record<string, unknown>>, message: string): void;
  error(fields: Readonly<Record<string, unknown>>, message: string): void;
}

/** How connections are protected. Without `tls`, nothing is encrypted. */
export interface KafkaSecurity {
  /** Certificates and key as PEM text. */
  readonly tls?: {
    /** Who has signed the brokers' certificates. Default: the authorities that Node.js trusts. */
    readonly ca?: string;
    /** The client's own certificate and its key, where brokers ask for one. */
    readonly cert?: string;
    readonly key?: string;
  };
  readonly sasl?: {
    readonly mechanism: 'scram-sha-256' | 'scram-sha-512';
    readonly username: string;
    readonly password: string;
  };
  /** Allows unencrypted connections to other machines; else only those of this machine can be reached without `tls`. */
  readonly plaintext?: 'allow-off-loopback';
}

/** How a stream over Kafka is opened. */
export interface KafkaStreamOptions {
  /** `host:port` of some brokers; the others are learnt from them. */
  readonly brokers: readonly string[];
  /** The name of this program in the brokers' logs and quotas. */
  readonly clientId: string;
  readonly security?: KafkaSecurity;
  /** What is carried, dead letters included: topics that do not exist are made. Default: those of the pipeline. */
  readonly topics?: readonly Topic[];
  /** Partitions of topics that are made; at least 1. Where topics exist, it is theirs that count. Default: 6. */
  readonly partitions?: number;
  /** Replicas of topics that are made. Default: 3, or as many as there are brokers if they are fewer. */
  readonly replicationFactor?: number;
  /** How long records are kept that are not in a table, in hours. Default: 168. */
  readonly retentionHours?: number;
  /** Begins the names of topics, groups and transactions, so that several pipelines can share a cluster. Default: empty. */
  readonly prefix?: string;
  /** What a record may have at most, in bytes. Default: 4 MiB. */
  readonly maxRecordBytes?: number;
  /**
   * How long a member of a group may be silent before its partitions go to others, in milliseconds: longer than stages
   * compute without a pause. Default: 10 000.
   */
  readonly sessionTimeoutMs?: number;
  /** How often members say that they live, and so how soon they notice that others come and go. Default: 500 ms. */
  readonly heartbeatIntervalMs?: number;
  /**
   * How long a transaction may take before the brokers abort it, in milliseconds; so long does one hold up readers whose
   * process has died, unless another process takes over its work. Default: 20 000.
   */
  readonly transactionTimeoutMs?: number;
  /** How long to wait for an answer of a broker, in milliseconds. Default: 10 000. */
  readonly requestTimeoutMs?: number;
  /** How long to try to reach the brokers when the stream is opened, in milliseconds. Default: 30 000. */
  readonly openingTimeoutMs?: number;
  /** Bytes read ahead in each partition, at least. Default: 1 MiB. */
  readonly readAheadBytes?: number;
  /** Default: nothing is told. */
  readonly log?: StreamLog;
}

/** Options with every default, checked. */
export interface KafkaSettings {
  readonly brokers: readonly BrokerAddress[];
  readonly connection: ConnectionSettings;
  readonly loopbackOnly: boolean;
  readonly topics: readonly Topic[];
  readonly partitions: number;
  readonly replicationFactor: number | undefined;
  readonly retentionHours: number;
  readonly prefix: string;
  readonly maxRecordBytes: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  readonly transactionTimeoutMs: number;
  readonly openingTimeoutMs: number;
  readonly readAheadBytes: number;
  readonly log: StreamLog;
}

const silentLog: StreamLog = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** @throws InputError naming the option and the remedy */
export function checkedSettings(options: KafkaStreamOptions): KafkaSettings {
  const { security = {}, prefix = '', clientId } = options;
  const brokers = options.brokers.map(parseAddress);
  if (brokers.length === 0)
    throw new InputError('Kafka: no brokers are given. Give the address of at least one, host:port.');
  if (!/^[a-zA-Z0-9._-]*$/.test(prefix)) {
    throw new InputError(
      `Kafka: ${JSON.stringify(prefix)} cannot begin names; use letters, digits, dots, dashes and _.`,
    );
  }
  const { tls, sasl, plaintext } = security;
  const loopbackOnly = !tls && plaintext !== 'allow-off-loopback';
  const distant = brokers.find(({ host }) => !isLoopback(host));
  if (loopbackOnly && distant) {
    throw new InputError(
      `Kafka: ${distant.host}:${distant.port} is on another machine, and the connection would not be encrypted. Give the ` +
        "brokers' TLS settings, or allow it by name: plaintext 'allow-off-loopback'.",
    );
  }
  if (tls && (tls.cert === undefined) !== (tls.key === undefined)) {
    throw new InputError('Kafka: a certificate and its key go together: give both, or neither.');
  }
  return {
    brokers,
    connection: {
      clientId,
      tls: tls && {
        ...(tls.ca !== undefined && { ca: tls.ca }),
        ...(tls.cert !== undefined && { cert: tls.cert, key: tls.key }),
      },
      sasl,
      connectionTimeoutMs: 3000,
      requestTimeoutMs: wholeNumber('requestTimeoutMs', options.requestTimeoutMs ?? 10_000),
    },
    loopbackOnly,
    topics: options.topics ?? allTopics(),
    partitions: wholeNumber('partitions', options.partitions ?? 6),
    replicationFactor:
      options.replicationFactor === undefined ? undefined : wholeNumber('replicationFactor', options.replicationFactor),
    retentionHours: wholeNumber('retentionHours', options.retentionHours ?? 168),
    prefix,
    maxRecordBytes: wholeNumber('maxRecordBytes', options.maxRecordBytes ?? 4 * 2 ** 20),
    sessionTimeoutMs: wholeNumber('sessionTimeoutMs', options.sessionTimeoutMs ?? 10_000),
    heartbeatIntervalMs: wholeNumber('heartbeatIntervalMs', options.heartbeatIntervalMs ?? 500),
    transactionTimeoutMs: wholeNumber('transactionTimeoutMs', options.transactionTimeoutMs ?? 20_000),
    openingTimeoutMs: wholeNumber('openingTimeoutMs', options.openingTimeoutMs ?? 30_000),
    readAheadBytes: wholeNumber('readAheadBytes', options.readAheadBytes ?? 2 ** 20),
    log: options.log ?? silentLog,
  };
}

/** Whether a host is this machine, whatever the network is. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(\.\d{1,3}){3}$/.test(host);
}

function parseAddress(address: string): BrokerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const port = Number(match?.[3]);
  if (!match || port < 1 || port > 65_535) {
    throw new InputError(`Kafka: ${JSON.stringify(address)} is not the address of a broker; give it as host:port.`);
  }
  return { host: (match[1] ?? match[2])!, port };
}

function wholeNumber(name: string, value: number): number {
  if (Number.isSafeInteger(value) && value >= 1) return value;
  throw new InputError(`Kafka: ${name}: ${value} is not a whole number of at least 1.`);
}
