import { setTimeout as sleep } from 'node:timers/promises';
import { assignerName, decodeClaim, decodeShare, encodeClaim, encodeShare, shareOut } from './assignment.js';
import { errorType, explained, isConnectionFailure, isTransient, StreamClosed } from './broker-errors.js';
import type { Network } from './network.js';
import type { Broker } from './kafkajs-internals.js';
import { retrying } from './retry.js';

/** How long each step of leaving may take. */
const longestLeaveMs = 2000;

/** How to be a member of a group. */
export interface MembershipOptions {
  readonly network: Network;
  readonly groupId: string;
  /** As the brokers name it. */
  readonly topic: string;
  /** Of the topic. */
  readonly partitions: number;
  readonly sessionTimeoutMs: number;
  readonly heartbeatIntervalMs: number;
  /** Ends it, without leaving. */
  readonly signal: AbortSignal;
  /**
   * Called when the group has shared the partitions out. Where the membership was lost in between, others may have had them
   * since the last call: whoever works on them is fenced off then.
   */
  readonly onAssigned: (partitions: readonly number[]) => void;
  /** Called when the membership has ended for good, because of an error that does not pass. */
  readonly onFailed: (error: unknown) => void;
  readonly onTrouble: (error: unknown) => void;
}

/** One consumer's place in a group. */
export interface Membership {
  /** Resolves when the group's coordinator has confirmed that this member is one, in the generation it knows of. */
  confirm(): Promise<void>;
  leave(): Promise<void>;
}

/** Joins a group, and stays in it: says that it lives, and joins again when others come and go. */
export function joinGroup(options: MembershipOptions): Membership {
  const { network, groupId, topic, partitions, sessionTimeoutMs, heartbeatIntervalMs, onAssigned, onTrouble } = options;
  const closing = new AbortController();
  const signal = AbortSignal.any([options.signal, closing.signal]);
  const lane = network.lane();
  let memberId = '';
  let generation = -1;
  let owned: number[] = [];

  /** Asks the group's coordinator, for as long as it takes to find one. */
  function askCoordinator<T>(request: (broker: Broker) => Promise<T>): Promise<T> {
    return retrying(
      async () => {
        try {
          return await lane.ask(await network.coordinator('group', groupId), request);
        } catch (error) {
          network.reconsider(error, 'group', groupId);
          throw error;
        }
      },
      { while: (error) => isTransient(error) || isConnectionFailure(error), signal, onTrouble },
    );
  }

  async function join(): Promise<void> {
    const joined = await askCoordinator((broker) =>
      broker.joinGroup({
        groupId,
        sessionTimeout: sessionTimeoutMs,
        rebalanceTimeout: sessionTimeoutMs,
        memberId,
        groupProtocols: [{ name: assignerName, metadata: encodeClaim(topic, { owned, generation }) }],
      }),
    );
    memberId = joined.memberId;
    const shares =
      joined.leaderId === memberId
        ? shareOut(
            joined.members.map((member) => decodeClaim(member.memberId, member.memberMetadata)),
            partitions,
          )
        : new Map<string, number[]>();
    const { memberAssignment } = await askCoordinator((broker) =>
      broker.syncGroup({
        groupId,
        generationId: joined.generationId,
        memberId,
        groupAssignment: [...shares].map(([id, share]) => ({
          memberId: id,
          memberAssignment: encodeShare(topic, share),
        })),
      }),
    );
    generation = joined.generationId;
    owned = decodeShare(topic, memberAssignment);
    onAssigned(owned);
  }

  /** A coordinator that still knows this generation has given nothing of it to others, however long it has heard nothing. */
  async function heartbeat(): Promise<void> {
    await askCoordinator((broker) => broker.heartbeat({ groupId, groupGenerationId: generation, memberId }));
  }

  /** What the coordinator's answer says about this member. @throws the error, if it says nothing */
  function understand(error: unknown): void {
    const type = errorType(error);
    if (type === 'REBALANCE_IN_PROGRESS') return;
    if (type !== 'UNKNOWN_MEMBER_ID' && type !== 'ILLEGAL_GENERATION' && type !== 'KafkaJSMemberIdRequired')
      throw error;
    if (type === 'UNKNOWN_MEMBER_ID') memberId = '';
    generation = -1;
  }

  async function live(): Promise<void> {
    for (let joined = false; ;) {
      try {
        if (joined) await heartbeat();
        else await join();
        joined = true;
        await sleep(heartbeatIntervalMs, undefined, { signal });
      } catch (error) {
        signal.throwIfAborted();
        understand(error);
        joined = false;
      }
    }
  }

  const living = live().catch((error: unknown) => {
    if (error instanceof StreamClosed || signal.aborted) return;
    options.onFailed(explained(error));
  });

  return {
    async confirm() {
      for (;;) {
        while (generation === -1) await sleep(heartbeatIntervalMs, undefined, { signal });
        const confirmed = generation;
        try {
          await heartbeat();
          if (generation === confirmed) return;
        } catch (error) {
          signal.throwIfAborted();
          understand(error);
          await sleep(heartbeatIntervalMs, undefined, { signal });
        }
      }
    },
    async leave() {
      closing.abort();
      // A coordinator that is letting this member in cannot let it go.
      await Promise.race([living, sleep(longestLeaveMs)]);
      if (memberId !== '') {
        // If it does not come to it, the group notices that this member is silent.
        const left = network
          .coordinator('group', groupId)
          .then((nodeId) => network.ask(nodeId, (broker) => broker.leaveGroup({ groupId, memberId })))
          .catch(() => undefined);
        await Promise.race([left, sleep(longestLeaveMs)]);
      }
      await lane.close();
      await living;
    },
  };
}
