import { InputError } from '@infalign/core';
import { messageOf } from '../encoded-record.js';
import { PartitionLost, TransactionFailed, type GroupMember } from '../rollout-stream.js';
import { createSignal } from '../signal.js';
import type { Topic } from '../topic.js';
import { ProducerFenced, StreamClosed } from './broker-errors.js';
import { encodeOutputs, type StreamContext } from './context.js';
import { joinGroup } from './membership.js';
import type { Lane } from './network.js';
import { committedOffsets, endsOf } from './offsets.js';
import { createPartitionFeed, type PartitionFeed } from './partition-feed.js';
import { openTransactionalProducer, type TransactionalProducer } from './transactional-producer.js';

/** A partition that the group has given to this member. */
interface Claim<T> {
  readonly partition: number;
  readonly lane: Lane;
  /** Ends what waits for the brokers. */
  readonly closing: AbortController;
  /** Where the group stood at the last commit, as the brokers have it; -1 where there was none. */
  committed: number;
  /** What is needed to work on it; nothing until earlier owners are fenced off. */
  open: { producer: TransactionalProducer; readonly feed: PartitionFeed<T> } | undefined;
}

/**
 * Joins a consumer group. Resolves when the partitions that are this member's share can be read.
 *
 * A partition's producer is opened before the group's position is read: it fences off the partition's earlier owner, and
 * ends what that one has begun, so that the position cannot change any more but by this member. So a member that was not heard
 * of for too long, such as while it computed, keeps its partitions until the group shares them out anew: what it has computed
 * is committed if nobody has taken the partition meanwhile, and refused if somebody has.
 */
export async function joinAsMember<T>(context: StreamContext, group: string, topic: Topic<T>): Promise<GroupMember<T>> {
  const { network, settings, partitions, onTrouble } = context;
  const groupId = `${settings.prefix}${group}`;
  const topicName = context.topicName(topic);
  const claims = new Map<number, Claim<T>>();
  /** What was taken away, and whoever worked on it has not been told yet. */
  const lost = new Set<number>();
  const any = createSignal();
  const ofPartition = Array.from({ length: partitions }, () => createSignal());
  let share: readonly number[] = [];
  let failure: { readonly error: unknown } | undefined;
  let left = false;
  let start!: () => void;
  const started = new Promise<void>((resolve) => (start = resolve));

  function tell(partition: number): void {
    any.raise();
    ofPartition[partition]!.raise();
  }

  function release(claim: Claim<T>): void {
    if (claims.get(claim.partition) === claim) claims.delete(claim.partition);
    if (claim.open) lost.add(claim.partition);
    claim.closing.abort();
    claim.open?.feed.close();
    void claim.lane.close();
    tell(claim.partition);
  }

  async function open(partition: number): Promise<void> {
    const claim: Claim<T> = {
      partition,
      lane: network.lane(),
      closing: new AbortController(),
      committed: -1,
      open: undefined,
    };
    claims.set(partition, claim);
    const { signal } = claim.closing;
    const producer = await openProducer(claim);
    const [committed] = await committedOffsets(network, groupId, topicName, [partition], { signal, onTrouble });
    const from =
      committed! >= 0
        ? committed!
        : (await endsOf(network, topicName, [partition], 'first', { signal, onTrouble }))[0]!;
    if (signal.aborted) return;
    claim.committed = committed!;
    const feed = createPartitionFeed({
      network,
      lane: claim.lane,
      topic,
      topicName,
      partition,
      from,
      readAheadBytes: settings.readAheadBytes,
      onChange: () => tell(partition),
      onTrouble,
    });
    claim.open = { producer, feed };
    tell(partition);
  }

  function openProducer({ partition, lane, closing }: Claim<T>): Promise<TransactionalProducer> {
    return openTransactionalProducer(`${groupId}-${topicName}-${partition}`, {
      ...context.producer,
      network,
      lane,
      signal: closing.signal,
      onTrouble,
    });
  }

  function fail(error: unknown): void {
    failure ??= { error };
    start();
    for (let partition = 0; partition < partitions; partition++) tell(partition);
  }

  function openOrFail(partition: number): Promise<void> {
    return open(partition).catch((error: unknown) => {
      if (!(error instanceof StreamClosed)) fail(error);
    });
  }

  const membership = joinGroup({
    network,
    groupId,
    topic: topicName,
    partitions,
    sessionTimeoutMs: settings.sessionTimeoutMs,
    heartbeatIntervalMs: settings.heartbeatIntervalMs,
    signal: context.signal,
    onTrouble,
    onFailed: fail,
    onAssigned(assigned) {
      if (left) return;
      share = assigned;
      for (const claim of claims.values()) if (!assigned.includes(claim.partition)) release(claim);
      settings.log.info({ group, topic: topic.name, partitions: assigned }, 'The group has shared out its partitions');
      const opened = assigned.filter((partition) => !claims.has(partition)).map(openOrFail);
      void Promise.all(opened).then(start);
      any.raise();
    },
  });

  /** Gives up everything, without telling the group. */
  function end(): void {
    left = true;
    for (const claim of claims.values()) release(claim);
    if (context.signal.aborted) fail(new StreamClosed('The stream has been closed.'));
  }

  /** Claims a partition again that another producer has taken, if it turns out that the group still means it to be here. */
  function reclaim(partition: number): void {
    membership
      .confirm()
      .then(() => (share.includes(partition) && !claims.has(partition) && !left ? openOrFail(partition) : undefined))
      .catch(() => undefined);
  }

  function owned(partition: number): Claim<T> & { open: object } {
    if (failure) throw failure.error;
    const claim = claims.get(partition);
    if (lost.delete(partition) || !claim?.open) {
      throw new PartitionLost(`Partition ${partition} of ${topic.name} has gone to another member of ${group}.`);
    }
    return claim as Claim<T> & { open: object };
  }

  /**
   * Ends a transaction of which it is not known what has become.
   *
   * @returns whether it was committed
   * @throws PartitionLost also if the group stands neither where the transaction began nor where it ended: others have worked on it
   */
  async function settle(claim: Claim<T>, target: number): Promise<boolean> {
    const { partition } = claim;
    const { signal } = claim.closing;
    try {
      // The coordinator may not have heard of this member either, and have given the partition to another one.
      await membership.confirm();
      const producer = await openProducer(claim);
      const [committed] = await committedOffsets(network, groupId, topicName, [partition], { signal, onTrouble });
      if (claims.get(partition) === claim && claim.open) {
        claim.open.producer = producer;
        if (committed === target) return true;
        if (committed === claim.committed) return false;
        release(claim);
        reclaim(partition);
      }
    } catch (error) {
      if (!(error instanceof StreamClosed) && !left) fail(error);
    }
    lost.delete(partition);
    throw new PartitionLost(`Partition ${partition} of ${topic.name} has gone to another member of ${group}.`);
  }

  context.signal.addEventListener('abort', end, { once: true });
  await started;
  const refused = failure as { readonly error: unknown } | undefined;
  if (refused) {
    await membership.leave();
    throw refused.error;
  }

  return {
    assigned: () =>
      [...claims.values()]
        .filter((claim) => claim.open)
        .map(({ partition }) => partition)
        .sort((a, b) => a - b),

    read: (partition, maxRecords) => new Promise((resolve) => resolve(owned(partition).open.feed.peek(maxRecords))),

    async commit(partition, consumed, outputs) {
      const claim = owned(partition);
      const { feed, producer } = claim.open;
      if (consumed.length === 0) throw new Error(`Group ${group} commits nothing of ${topic.name}.`);
      feed.checkFirst(consumed);
      const records = encodeOutputs(context, outputs);
      // Not the last record's offset + 1: the end of the transaction that wrote it would count as waiting for ever.
      const offset = feed.position(consumed.length);
      try {
        await producer.transact(records, { groupId, topic: topicName, partition, offset });
      } catch (error) {
        if (error instanceof ProducerFenced) {
          if (claims.get(partition) === claim) release(claim);
          lost.delete(partition);
          reclaim(partition);
          settings.log.warn(
            { group, topic: topic.name, partition, sessionTimeoutMs: settings.sessionTimeoutMs },
            'What was computed is lost: another member has taken the partition. If that repeats, raise ' +
              'stream.session_timeout_ms over the time that the longest batch takes',
          );
          throw new PartitionLost(
            `Partition ${partition} of ${topic.name} has been taken from ${group}: ${error.message}`,
          );
        }
        if (claims.get(partition) === claim)
          settings.log.warn({ err: error, group, topic: topic.name, partition }, 'A transaction has failed');
        if (!(await settle(claim, offset))) {
          if (error instanceof InputError) throw error;
          tell(partition);
          throw new TransactionFailed(
            `A transaction of ${group} on ${topic.name}, partition ${partition}, has failed: ${messageOf(error)}`,
            { cause: error },
          );
        }
      }
      claim.committed = offset;
      feed.take(consumed);
    },

    async changed(timeoutMs, partition) {
      await (partition === undefined ? any : ofPartition[partition]!).wait(timeoutMs);
      if (failure) throw failure.error;
    },

    async lag() {
      const open = [...claims.values()].flatMap(({ partition, open: opened }) =>
        opened ? [{ partition, feed: opened.feed }] : [],
      );
      const which = open.map(({ partition }) => partition);
      const ends = await endsOf(network, topicName, which, 'last', { signal: context.signal, onTrouble });
      return new Map(
        open.map(({ partition, feed }, index) => [partition, Math.max(0, ends[index]! - feed.position())]),
      );
    },

    async leave() {
      context.signal.removeEventListener('abort', end);
      end();
      await membership.leave();
    },
  };
}
