import { messageOf, type EncodedRecord } from '../encoded-record.js';
import { explained, isConnectionFailure, isFenced, isTransient, ProducerFenced } from './broker-errors.js';
import type { Lane, Network } from './network.js';
import { produceBatch } from './produce.js';
import { encodeBatch } from './record-batch.js';
import { retrying } from './retry.js';

/** The position that a transaction commits beside its records. */
export interface TransactionOffset {
  readonly groupId: string;
  /** As the brokers name it. */
  readonly topic: string;
  readonly partition: number;
  /** Of the record that is read next. */
  readonly offset: number;
}

/** The holder of a transactional id. */
export interface TransactionalProducer {
  /**
   * One transaction. After an error the producer is of no use: a new one has to be opened, which ends what this one has begun.
   *
   * @throws ProducerFenced if the id is another one's now: nothing has happened
   * @throws Error: it has happened, or not
   */
  transact(records: readonly EncodedRecord[], offset?: TransactionOffset): Promise<void>;
  /** Aborts what was begun, so that it does not hold up readers; as far as the brokers can be reached. */
  abandon(): Promise<void>;
}

/** What a producer works with. */
export interface ProducerContext {
  readonly network: Network;
  /** Connections for this producer alone: the brokers answer one request of a connection after another. */
  readonly lane: Lane;
  /** What topics are called at the brokers. */
  readonly topicName: (topic: EncodedRecord['topic']) => string;
  readonly transactionTimeoutMs: number;
  /** How long to wait for an answer, in milliseconds. */
  readonly requestTimeoutMs: number;
  /** Ends all waiting. */
  readonly signal: AbortSignal;
  /** Told of trouble that lasts, and, with nothing, that it has passed. */
  readonly onTrouble: (error: unknown) => void;
  /** Gets every transaction that was committed, by the transactional id: it can be read some milliseconds later. */
  readonly unseen: Map<string, symbol>;
}

/** Records sent together have about so many bytes; more, where a batch that has to stay in one piece does. */
const batchBytes = 256 * 1024;

/** How long one step of a transaction is tried again while brokers change places. */
const stepTimeoutMs = 20_000;

/**
 * Takes over a transactional id: whoever held it is fenced off, and the transaction that it left open is aborted, or, if it
 * was being committed, is committed, before this returns.
 */
export async function openTransactionalProducer(
  transactionalId: string,
  context: ProducerContext,
): Promise<TransactionalProducer> {
  const { network, lane, signal, onTrouble } = context;
  const waiting = { signal, onTrouble, timeoutMs: stepTimeoutMs };

  /** Asks the coordinator of the transactional id. What it refuses for now is tried again; what it may have done is not. */
  function askCoordinator<T>(request: Parameters<typeof lane.ask<T>>[1]): Promise<T> {
    return retrying(
      async () => {
        try {
          return await lane.ask(await network.coordinator('transaction', transactionalId), request);
        } catch (error) {
          network.reconsider(error, 'transaction', transactionalId);
          throw error;
        }
      },
      { while: isTransient, ...waiting },
    );
  }

  const identity = {
    transactionalId,
    // Whatever has become of an earlier attempt, the id is ours once one has succeeded.
    ...(await retrying(
      async () =>
        askCoordinator((broker) =>
          broker.initProducerId({ transactionalId, transactionTimeout: context.transactionTimeoutMs }),
        ),
      { while: (error) => isTransient(error) || isConnectionFailure(error), signal, onTrouble },
    ).catch((error: unknown) => {
      throw explained(error);
    })),
  };
  /** By topic and partition, how many records were sent. */
  const sequences = new Map<string, number>();
  let usable = true;

  async function sendOffset({ groupId, topic, partition, offset }: TransactionOffset): Promise<void> {
    const topics = [{ topic, partitions: [{ partition, offset: String(offset) }] }];
    await retrying(
      async () => {
        try {
          const nodeId = await network.coordinator('group', groupId);
          await lane.ask(nodeId, (broker) => broker.txnOffsetCommit({ ...identity, groupId, topics }));
        } catch (error) {
          network.reconsider(error, 'group', groupId);
          throw error;
        }
      },
      { while: isTransient, ...waiting },
    );
  }

  /** One batch after another, each sent when the one before is there. */
  async function sendRecords(records: readonly EncodedRecord[]): Promise<void> {
    const { topic, partition } = records[0]!;
    const name = context.topicName(topic);
    const key = `${name}/${partition}`;
    for (const part of inBatches(records)) {
      const sequence = sequences.get(key) ?? 0;
      const contents = part.map(({ key: recordKey, payload, trace }) => ({ key: recordKey, value: payload, trace }));
      const batch = encodeBatch(contents, { ...identity, sequence });
      // The leader tells that its followers are slow before it is taken to be silent.
      const timeoutMs = Math.ceil(0.8 * context.requestTimeoutMs);
      // The same bytes under the same number: the leader takes them once, however often they come.
      await retrying(
        async () => {
          try {
            const leader = await network.leader(name, partition);
            await lane.ask(leader, (broker) =>
              produceBatch(broker, { transactionalId, topic: name, partition, batch, timeoutMs }),
            );
          } catch (error) {
            network.reconsider(error);
            throw error;
          }
        },
        { while: (error) => isTransient(error) || isConnectionFailure(error), ...waiting },
      );
      sequences.set(key, (sequence + part.length) % 2 ** 31);
    }
  }

  async function run(records: readonly EncodedRecord[], offset: TransactionOffset | undefined): Promise<void> {
    const parts = grouped(records, ({ topic, partition }) => `${topic.name}/${partition}`);
    const topics = grouped(parts, ([first]) => first!.topic.name).map((ofTopic) => ({
      topic: context.topicName(ofTopic[0]![0]!.topic),
      partitions: ofTopic.map(([first]) => first!.partition),
    }));
    await allDone([
      parts.length > 0 && askCoordinator((broker) => broker.addPartitionsToTxn({ ...identity, topics })),
      offset && askCoordinator((broker) => broker.addOffsetsToTxn({ ...identity, groupId: offset.groupId })),
    ]);
    await allDone([...parts.map((part) => sendRecords(part)), offset && sendOffset(offset)]);
    await askCoordinator((broker) => broker.endTxn({ ...identity, transactionResult: true }));
  }

  return {
    async transact(records, offset) {
      if (!usable) throw new Error(`The producer ${transactionalId} is of no use any more.`);
      if (records.length === 0 && !offset) return;
      try {
        await run(records, offset);
        context.unseen.set(transactionalId, Symbol());
      } catch (error) {
        usable = false;
        if (!isFenced(error)) throw explained(error);
        throw new ProducerFenced(
          `The producer ${transactionalId} has been taken over, or its transaction took too long: ${messageOf(error)}`,
          { cause: error },
        );
      }
    },

    async abandon() {
      usable = false;
      await askCoordinator((broker) => broker.endTxn({ ...identity, transactionResult: false })).catch(() => undefined);
    },
  };
}

/** Waits for all of them, and only then tells an error: nothing is under way any more then. */
async function allDone(steps: readonly unknown[]): Promise<void> {
  const results = await Promise.allSettled(steps);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed) throw failed.reason;
}

/** Cut between what stays together only: what others send at the same time may get in between. */
function* inBatches(records: readonly EncodedRecord[]): Generator<readonly EncodedRecord[]> {
  let start = 0;
  let bytes = 0;
  /** Where the piece begins that cannot be cut, and what it has. */
  let piece = 0;
  let pieceBytes = 0;
  for (const [index, { key, payload, batch }] of records.entries()) {
    if (batch === undefined || batch !== records[index - 1]?.batch) {
      bytes += pieceBytes;
      piece = index;
      pieceBytes = 0;
    }
    pieceBytes += key.length + (payload?.length ?? 0);
    if (piece > start && bytes + pieceBytes > batchBytes) {
      yield records.slice(start, piece);
      start = piece;
      bytes = 0;
    }
  }
  if (start < records.length) yield records.slice(start);
}

/** What has the same key together, in the order of its first appearance. */
function grouped<T>(items: readonly T[], keyOf: (item: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const key = keyOf(item);
    const group = groups.get(key);
    if (group) group.push(item);
    else groups.set(key, [item]);
  }
  return [...groups.values()];
}
