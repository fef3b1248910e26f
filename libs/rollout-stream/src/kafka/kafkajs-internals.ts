import { createRequire } from 'node:module';
import { connect as connectPlain, isIP, type Socket } from 'node:net';
import { connect as connectTls, type ConnectionOptions } from 'node:tls';
import type { SASLOptions } from 'kafkajs';

// kafkajs's connections and its encodings of requests are sound; what stands on them is not: its producer acknowledges
// messages that it then loses or doubles, and its consumer needs a group for every reader. They are used here without it.
// Its package exports none of this, so that these types stand in for those it does not have; its version is pinned.
const require = createRequire(import.meta.url);

/** A request as it goes over a connection. */
export interface ProtocolRequest<T> {
  readonly request: {
    readonly apiKey: number;
    readonly apiVersion: number;
    readonly apiName: string;
    encode(): Promise<Encoder>;
  };
  readonly response: {
    decode(bytes: Buffer): Promise<T>;
    parse(decoded: T): Promise<T>;
  };
  /** How long the answer may take, where that is more than usual. */
  readonly requestTimeout?: number;
}

/** Collects the bytes of a request. */
export interface Encoder {
  writeInt8(value: number): this;
  writeInt16(value: number): this;
  writeInt32(value: number): this;
  writeString(value: string | null): this;
  writeBytes(value: Buffer): this;
  writeBuffer(value: Buffer): this;
  writeUVarInt(value: number): this;
}

interface PartitionErrorCode {
  readonly partition: number;
  readonly errorCode: number;
}

interface Transaction {
  readonly transactionalId: string;
  readonly producerId: string;
  readonly producerEpoch: number;
}

/** The connections to a broker: the second is for fetches. */
interface ConnectionPool {
  readonly pool: readonly Connection[];
  getConnection(index?: number): Promise<Connection>;
  send<T>(request: ProtocolRequest<T>): Promise<T>;
}

interface Connection {
  isConnected(): boolean;
  connect(): Promise<unknown>;
  rejectRequests(error: Error): void;
}

/** One of kafkajs's brokers, as far as it is used here. Its methods throw `KafkaJSError`s. */
export interface Broker {
  readonly connectionPool: ConnectionPool;
  isConnected(): boolean;
  connect(): Promise<void>;
  disconnect(): Promise<void>;
  findGroupCoordinator(request: { groupId: string; coordinatorType: 0 | 1 }): Promise<{
    coordinator: { nodeId: number };
  }>;
  joinGroup(request: {
    groupId: string;
    sessionTimeout: number;
    rebalanceTimeout: number;
    memberId: string;
    groupProtocols: { name: string; metadata: Buffer }[];
  }): Promise<{
    generationId: number;
    leaderId: string;
    memberId: string;
    members: { memberId: string; memberMetadata: Buffer }[];
  }>;
  syncGroup(request: {
    groupId: string;
    generationId: number;
    memberId: string;
    groupAssignment: { memberId: string; memberAssignment: Buffer }[];
  }): Promise<{ memberAssignment: Buffer }>;
  heartbeat(request: { groupId: string; groupGenerationId: number; memberId: string }): Promise<unknown>;
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
  offsetFetch(request: { groupId: string; topics: { topic: string; partitions: { partition: number }[] }[] }): Promise<{
    responses: { topic: string; partitions: (PartitionErrorCode & { offset: string })[] }[];
  }>;
  listOffsets(request: {
    isolationLevel: 0 | 1;
    topics: { topic: string; partitions: { partition: number; timestamp: number }[] }[];
  }): Promise<{ responses: { topic: string; partitions: { partition: number; offset: string }[] }[] }>;
  initProducerId(request: {
    transactionalId: string;
    transactionTimeout: number;
  }): Promise<{ producerId: string; producerEpoch: number }>;
  addPartitionsToTxn(request: Transaction & { topics: { topic: string; partitions: number[] }[] }): Promise<unknown>;
  addOffsetsToTxn(request: Transaction & { groupId: string }): Promise<unknown>;
  txnOffsetCommit(
    request: Transaction & {
      groupId: string;
      topics: { topic: string; partitions: { partition: number; offset: string }[] }[];
    },
  ): Promise<unknown>;
  endTxn(request: Transaction & { transactionResult: boolean }): Promise<unknown>;
  createTopics(request: {
    topics: {
      topic: string;
      numPartitions: number;
      replicationFactor: number;
      configEntries: { name: string; value: string }[];
    }[];
    timeout: number;
  }): Promise<unknown>;
  describeConfigs(request: {
    resources: { type: number; name: string; configNames: string[] }[];
  }): Promise<{ resources: { resourceName: string; configEntries: { configName: string; configValue: string }[] }[] }>;
}

/** What a broker knows of the cluster. */
export interface ClusterMetadata {
  readonly brokers: readonly { nodeId: number; host: string; port: number }[];
  readonly controllerId: number;
  readonly topicMetadata: readonly {
    topicErrorCode: number;
    topic: string;
    partitionMetadata: readonly { partitionErrorCode: number; partitionId: number; leader: number }[];
  }[];
}

type RequestOf<T> = (content: object) => ProtocolRequest<T>['request'];

interface QuietLogger {
  namespace(): QuietLogger;
  debug(): void;
  info(): void;
  warn(): void;
  error(): void;
}

const internal = {
  Broker: require('kafkajs/src/broker/index.js') as new (options: object) => Broker,
  ConnectionPool: require('kafkajs/src/network/connectionPool.js') as new (options: object) => ConnectionPool,
  Encoder: require('kafkajs/src/protocol/encoder.js') as new (initialSize?: number) => Encoder,
  errors: require('kafkajs/src/protocol/error.js') as { readonly createErrorFromCode: (code: number) => Error },
  fetchRequest: require('kafkajs/src/protocol/requests/fetch/v11/request.js') as RequestOf<unknown>,
  metadataRequest: require('kafkajs/src/protocol/requests/metadata/v6/request.js') as RequestOf<unknown>,
  metadataResponse: require('kafkajs/src/protocol/requests/metadata/v6/response.js') as {
    readonly decode: (bytes: Buffer) => Promise<ClusterMetadata>;
  },
};

/** kafkajs logs every attempt that fails; what is worth telling is told once, by those who use it here. */
const quietLogger: QuietLogger = {
  namespace: () => quietLogger,
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

/** How to reach a broker. */
export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/** How to talk to brokers. */
export interface ConnectionSettings {
  readonly clientId: string;
  readonly tls: ConnectionOptions | undefined;
  readonly sasl: SASLOptions | undefined;
  readonly connectionTimeoutMs: number;
  readonly requestTimeoutMs: number;
}

/** A broker with two connections of its own, made when they are needed: one for fetches, one for all else. */
export function createBroker({ host, port }: BrokerAddress, settings: ConnectionSettings): Broker {
  const connectionPool = new internal.ConnectionPool({
    host,
    port,
    logger: quietLogger,
    ssl: settings.tls ?? null,
    sasl: settings.sasl ?? null,
    clientId: settings.clientId,
    connectionTimeout: settings.connectionTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    socketFactory: openSocket,
  });
  connectOnce(connectionPool);
  return new internal.Broker({ connectionPool, logger: quietLogger, allowAutoTopicCreation: false });
}

/**
 * Requests that find a connection of the pool not connected connect it, each of them: all sockets but the last would be
 * forgotten, stay open, and keep the process from ending. They wait for the first one's instead.
 */
function connectOnce(pool: ConnectionPool): void {
  const connecting = new Map<number, Promise<unknown>>();
  pool.getConnection = async (index = 0) => {
    const connection = pool.pool[index]!;
    if (!connection.isConnected()) {
      let joined = connecting.get(index);
      if (!joined) {
        joined = connection.connect().finally(() => connecting.delete(index));
        connecting.set(index, joined);
      }
      await joined;
    }
    return connection;
  };
}

/** Unlike kafkajs's own, it does not wait for more bytes before it sends some. */
function openSocket(options: BrokerAddress & { ssl: ConnectionOptions | null; onConnect: () => void }): Socket {
  const { host, port, ssl, onConnect } = options;
  const socket = ssl
    ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...ssl }, onConnect)
    : connectPlain({ host, port }, onConnect);
  socket.setNoDelay(true);
  socket.setKeepAlive(true, 60_000);
  return socket;
}

/** The brokers, and these topics; those that do not exist are named with an error code. */
export function metadataRequest(topics: readonly string[]): ProtocolRequest<ClusterMetadata> {
  const { decode } = internal.metadataResponse;
  return {
    request: internal.metadataRequest({ topics, allowAutoTopicCreation: false }),
    // kafkajs takes one topic that is missing for a failure of all.
    response: { decode, parse: (decoded) => Promise.resolve(decoded) },
  };
}

/** A request to fetch from partitions, whose answer `decode` understands (version 11). */
export function fetchRequest<T>(
  content: {
    maxWaitTime: number;
    maxBytes: number;
    topic: string;
    partitions: { partition: number; fetchOffset: number; maxBytes: number }[];
  },
  decode: (bytes: Buffer) => T,
): ProtocolRequest<T> {
  const { topic, partitions, ...limits } = content;
  return {
    request: internal.fetchRequest({
      replicaId: -1,
      minBytes: 1,
      isolationLevel: 1,
      topics: [{ topic, partitions }],
      ...limits,
    }),
    response: { decode: (bytes) => Promise.resolve(decode(bytes)), parse: (decoded) => Promise.resolve(decoded) },
    requestTimeout: content.maxWaitTime + 5000,
  };
}

/** An empty encoder. */
export function createEncoder(initialSize?: number): Encoder {
  return new internal.Encoder(initialSize);
}

/** The error that a broker's answer tells of; nothing where it tells of none. */
export function protocolError(code: number): Error | undefined {
  return code === 0 ? undefined : internal.errors.createErrorFromCode(code);
}
