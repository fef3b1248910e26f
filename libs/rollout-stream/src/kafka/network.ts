import { InputError } from '@infalign/core';
import { hasMoved, isConnectionFailure, isTlsFailure, Unreachable } from './broker-errors.js';
import {
  createBroker,
  metadataRequest,
  protocolError,
  type Broker,
  type BrokerAddress,
  type ClusterMetadata,
  type ConnectionSettings,
} from './kafkajs-internals.js';
import { isLoopback } from './options.js';

/** Connections of their own to the brokers, one after another of whose requests is answered. */
export interface Lane {
  /**
   * Asks a broker, which is connected to first if need be.
   *
   * @throws Unreachable if it could not be connected to: nothing was sent; else what `request` throws
   */
  ask<T>(nodeId: number, request: (broker: Broker) => Promise<T>): Promise<T>;
  /** Drops the connections; what waits for an answer fails. */
  close(): Promise<void>;
}

/** What a coordinator coordinates. */
export type CoordinatorKind = 'group' | 'transaction';

/** The cluster as it is known here: its brokers, who leads partitions, and who coordinates groups and transactions. */
export interface Network {
  lane(): Lane;
  /** Asks whichever broker answers, over connections that all share. */
  askAny<T>(request: (broker: Broker) => Promise<T>): Promise<T>;
  /** Asks a broker over connections that all share. */
  ask<T>(nodeId: number, request: (broker: Broker) => Promise<T>): Promise<T>;
  /** What the cluster says of topics, now. */
  describe(topics: readonly string[]): Promise<ClusterMetadata>;
  /** Who leads a partition. @throws Error of the type LEADER_NOT_AVAILABLE if nobody does now */
  leader(topic: string, partition: number): Promise<number>;
  coordinator(kind: CoordinatorKind, key: string): Promise<number>;
  /** Looks leaders and the coordinator up anew before they are needed next, if the error says that they have moved. */
  reconsider(error: unknown, kind?: CoordinatorKind, key?: string): void;
  close(): Promise<void>;
}

interface KnownBroker {
  readonly address: BrokerAddress;
  readonly broker: Broker;
  connecting: Promise<void> | undefined;
}

/** What a network is opened with. */
export interface NetworkOptions {
  readonly brokers: readonly BrokerAddress[];
  readonly connection: ConnectionSettings;
  /** Whether nothing is encrypted, and brokers that are not on this machine are refused for that. */
  readonly loopbackOnly: boolean;
}

/** A network that knows no more than the addresses given. */
export function createNetwork({ brokers: bootstrap, connection, loopbackOnly }: NetworkOptions): Network {
  let nodes = new Map<number, BrokerAddress>();
  const topics = new Set<string>();
  let leaders = new Map<string, readonly number[]>();
  let stale = true;
  let refreshing: Promise<void> | undefined;
  const coordinators = new Map<string, number>();
  const lanes = new Set<Lane>();
  const shared = lane();
  /** Bootstrap addresses, as if they were nodes of negative numbers. */
  const addresses = (nodeId: number): BrokerAddress | undefined =>
    nodeId < 0 ? bootstrap[-1 - nodeId] : nodes.get(nodeId);
  /** The one that answered last is asked first. */
  let preferred = -1;

  function lane(): Lane {
    const brokers = new Map<number, KnownBroker>();
    let closed = false;

    async function connected(nodeId: number): Promise<Broker> {
      if (closed) throw new Unreachable('The connections have been closed.');
      const address = addresses(nodeId);
      if (!address) throw new Unreachable(`Kafka broker ${nodeId} is not known.`);
      let known = brokers.get(nodeId);
      if (known && (known.address.host !== address.host || known.address.port !== address.port)) {
        drop(nodeId);
        known = undefined;
      }
      if (!known) {
        if (loopbackOnly && !isLoopback(address.host)) {
          throw new InputError(
            `The Kafka broker ${address.host}:${address.port} is on another machine, and the connection would not be ` +
              "encrypted. Give the brokers' TLS settings, or allow it by name: plaintext 'allow-off-loopback'.",
          );
        }
        brokers.set(nodeId, (known = { address, broker: createBroker(address, connection), connecting: undefined }));
      }
      try {
        // One that is being connected to says that it is connected before it can be asked.
        if (known.connecting || !known.broker.isConnected()) {
          const joined = known;
          await (joined.connecting ??= joined.broker.connect().finally(() => (joined.connecting = undefined)));
        }
      } catch (error) {
        if (brokers.get(nodeId) === known) drop(nodeId);
        if (!isConnectionFailure(error)) throw error;
        if (isTlsFailure(error)) {
          throw new InputError(
            `The connection to the Kafka broker ${address.host}:${address.port} cannot be secured: ` +
              `${(error as Error).message}. Check the certificates, and that this is the address where the broker serves TLS.`,
            { cause: error },
          );
        }
        throw new Unreachable(
          `The Kafka broker ${address.host}:${address.port} cannot be reached: ${(error as Error).message}`,
          { cause: error },
        );
      }
      if (closed) {
        // It was being connected to when the others were disconnected.
        void disconnect(known.broker);
        throw new Unreachable('The connections have been closed.');
      }
      return known.broker;
    }

    function drop(nodeId: number): void {
      const known = brokers.get(nodeId);
      brokers.delete(nodeId);
      if (known) void disconnect(known.broker);
    }

    const self: Lane = {
      async ask(nodeId, request) {
        const broker = await connected(nodeId);
        try {
          return await request(broker);
        } catch (error) {
          // What comes late over this connection belongs to nobody.
          if (isConnectionFailure(error) && brokers.get(nodeId)?.broker === broker) drop(nodeId);
          throw error;
        }
      },
      async close() {
        closed = true;
        lanes.delete(self);
        await Promise.all([...brokers.values()].map(({ broker }) => disconnect(broker)));
        brokers.clear();
      },
    };
    lanes.add(self);
    return self;
  }

  async function askAny<T>(request: (broker: Broker) => Promise<T>): Promise<T> {
    const others = [...nodes.keys(), ...bootstrap.map((_, index) => -1 - index)].filter((id) => id !== preferred);
    let failure: unknown;
    for (const nodeId of [preferred, ...others]) {
      try {
        const result = await shared.ask(nodeId, request);
        preferred = nodeId;
        return result;
      } catch (error) {
        if (!(error instanceof Unreachable) && !isConnectionFailure(error)) throw error;
        failure ??= error;
      }
    }
    throw failure instanceof Unreachable ? failure : new Unreachable('No Kafka broker answers.', { cause: failure });
  }

  async function describe(names: readonly string[]): Promise<ClusterMetadata> {
    const metadata = await askAny((broker) => broker.connectionPool.send(metadataRequest(names)));
    nodes = new Map(metadata.brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
    return metadata;
  }

  async function refresh(): Promise<void> {
    stale = false;
    try {
      const { topicMetadata } = await describe([...topics]);
      leaders = new Map(
        topicMetadata.map(({ topic, partitionMetadata }) => {
          const ofTopic: number[] = [];
          for (const { partitionId, leader } of partitionMetadata) ofTopic[partitionId] = leader;
          return [topic, ofTopic];
        }),
      );
    } catch (error) {
      stale = true;
      throw error;
    }
  }

  const coordinatorKey = (kind: CoordinatorKind, key: string): string => `${kind}\n${key}`;

  return {
    lane,
    askAny,
    ask: (nodeId, request) => shared.ask(nodeId, request),
    describe,

    async leader(topic, partition) {
      if (!topics.has(topic)) {
        topics.add(topic);
        stale = true;
      }
      // Whoever came too late for what is under way waits for the next.
      while (stale || refreshing) await (refreshing ??= refresh().finally(() => (refreshing = undefined)));
      const leader = leaders.get(topic)?.[partition] ?? -1;
      if (leader >= 0 && nodes.has(leader)) return leader;
      stale = true;
      throw protocolError(5)!;
    },

    async coordinator(kind, key) {
      const known = coordinators.get(coordinatorKey(kind, key));
      if (known !== undefined) return known;
      const coordinatorType = kind === 'group' ? 0 : 1;
      const found = await askAny((broker) => broker.findGroupCoordinator({ groupId: key, coordinatorType }));
      const { nodeId } = found.coordinator;
      if (!nodes.has(nodeId)) await describe([...topics]);
      coordinators.set(coordinatorKey(kind, key), nodeId);
      return nodeId;
    },

    reconsider(error, kind, key) {
      if (!hasMoved(error)) return;
      stale = true;
      if (kind !== undefined && key !== undefined) coordinators.delete(coordinatorKey(kind, key));
    },

    async close() {
      await Promise.all([...lanes].map((one) => one.close()));
    },
  };
}

/** Unlike kafkajs's own, it does not wait for answers that may never come. */
async function disconnect(broker: Broker): Promise<void> {
  const error = Object.assign(new Error('The connection has been closed.'), { name: 'KafkaJSConnectionClosedError' });
  for (const connection of broker.connectionPool.pool) connection.rejectRequests(error);
  await broker.disconnect();
}
