import { InputError } from '@infalign/core';
import { decodeRecord, encodeRecord } from './encoded-record.js';
import { openEmbeddedLog, type EmbeddedLog, type GroupPosition } from './embedded-log.js';
import {
  PartitionLost,
  WriterFenced,
  type GroupMember,
  type RolloutStream,
  type StreamWriter,
  type TopicReader,
} from './rollout-stream.js';
import { createSignal, type Signal } from './signal.js';
import {
  describePosition,
  isPoison,
  type ConsumedRecord,
  type OutgoingRecord,
  type PoisonRecord,
  type RecordPosition,
  type Topic,
} from './topic.js';

/** How a log is made. */
export interface EmbeddedStreamOptions {
  /** Of every topic; at least 1. Default: 1. */
  readonly partitions?: number;
}

/**
 * Opens the durable log in a folder, or makes it, for this process alone: rollout streams on one machine, with no server.
 *
 * A transaction that was acknowledged survives `kill -9` and loss of power; one that was not leaves no trace. Everything
 * is stored with a checksum that is verified when it is read, and the file's structure is verified when it is opened.
 *
 * @throws InputError naming the file and the remedy, if another process has the log open, the file is damaged or no log, or
 *   it was made with another number of partitions
 */
export function openEmbeddedStream(folder: string, { partitions = 1 }: EmbeddedStreamOptions = {}): RolloutStream {
  if (!(Number.isSafeInteger(partitions) && partitions >= 1)) {
    throw new InputError(`${folder}: ${partitions} is not a number of partitions; use a whole number of at least 1.`);
  }
  return embeddedStream(openEmbeddedLog(folder, partitions), partitions);
}

/** Those who share the partitions of a topic: in the order in which they joined, each has every so-manyth one. */
interface Group {
  readonly topic: Topic;
  readonly members: Member[];
}

/** One member of a group. */
interface Member {
  assigned: number[];
  /** What it has not owned all the time, and has not been told so yet. */
  readonly lost: Set<number>;
  /** Raised for every change. */
  readonly any: Signal;
  /** Raised for a change of one partition. */
  readonly ofPartition: readonly Signal[];
}

function embeddedStream(log: EmbeddedLog, partitions: number): RolloutStream {
  const all = Array.from({ length: partitions }, (_, partition) => partition);
  const groups = new Map<string, Group>();
  const writers = new Map<string, symbol>();
  /** By topic, what is told of records appended to it. */
  const listeners = new Map<string, Set<(partition: number) => void>>();

  function listen(topic: Topic, listener: (partition: number) => void): () => void {
    const ofTopic = listeners.get(topic.name) ?? new Set();
    listeners.set(topic.name, ofTopic.add(listener));
    return () => void ofTopic.delete(listener);
  }

  function write(outputs: readonly OutgoingRecord[], position?: GroupPosition): void {
    const encoded = outputs.map((output) => encodeRecord(output, partitions));
    log.write(encoded, position);
    for (const { topic, partition } of encoded) listeners.get(topic.name)?.forEach((tell) => tell(partition));
  }

  /** Shares the partitions of a group among its members anew. */
  function share({ members }: Group): void {
    members.forEach((member, index) => {
      const before = member.assigned;
      member.assigned = all.filter((partition) => partition % members.length === index);
      for (const partition of before) if (!member.assigned.includes(partition)) member.lost.add(partition);
      member.any.raise();
      member.ofPartition.forEach((signal) => signal.raise());
    });
  }

  function readFrom<T>(
    topic: Topic<T>,
    partition: number,
    from: number,
    maxRecords: number,
  ): (ConsumedRecord<T> | PoisonRecord)[] {
    const batch: (ConsumedRecord<T> | PoisonRecord)[] = [];
    let decoded = 0;
    for (const { offset, payload } of log.payloads(topic, partition, from)) {
      if (decoded === maxRecords || (decoded === 0 && batch.length === maxRecords)) break;
      const record = decodeRecord({ topic, partition, offset }, payload);
      if (!isPoison(record)) decoded++;
      batch.push(record);
    }
    return batch;
  }

  /** The offset after the consumed records. @throws Error unless they are the next ones of the group */
  function positionAfter(group: string, topic: Topic, partition: number, consumed: readonly RecordPosition[]): number {
    let next = log.position(group, topic, partition);
    if (consumed.length === 0) throw new Error(`Group ${group} commits nothing of ${topic.name}.`);
    for (const record of consumed) {
      const { offset } = record;
      const isNext = topic.compacted ? offset >= next : offset === next;
      if (!isNext || record.topic.name !== topic.name || record.partition !== partition) {
        throw new Error(
          `Group ${group} commits ${describePosition(record)}, but it stands at offset ${next} of ${topic.name}, ` +
            `partition ${partition}.`,
        );
      }
      next = offset + 1;
    }
    return next;
  }

  function join<T>(groupName: string, topic: Topic<T>): GroupMember<T> {
    const group = groups.get(groupName) ?? { topic: topic, members: [] };
    if (group.topic.name !== topic.name) {
      throw new Error(`Group ${groupName} reads ${group.topic.name}: its members cannot read ${topic.name}.`);
    }
    groups.set(groupName, group);
    const member: Member = {
      assigned: [],
      lost: new Set(),
      any: createSignal(),
      ofPartition: all.map(() => createSignal()),
    };
    group.members.push(member);
    share(group);
    const unlisten = listen(topic, (partition) => {
      member.any.raise();
      member.ofPartition[partition]!.raise();
    });

    function checkOwned(partition: number): void {
      if (member.lost.delete(partition) || !member.assigned.includes(partition)) {
        throw new PartitionLost(`Partition ${partition} of ${topic.name} has gone to another member of ${groupName}.`);
      }
    }

    return {
      assigned: () => member.assigned,
      read: (partition, maxRecords) =>
        attempt(() => {
          checkOwned(partition);
          return readFrom(topic, partition, log.position(groupName, topic as Topic, partition), maxRecords);
        }),
      commit: (partition, consumed, outputs) =>
        attempt(() => {
          checkOwned(partition);
          const offset = positionAfter(groupName, topic, partition, consumed);
          write(outputs, { group: groupName, topic: topic, partition, offset });
        }),
      changed: (timeoutMs, partition) =>
        (partition === undefined ? member.any : member.ofPartition[partition]!).wait(timeoutMs),
      lag: () =>
        attempt(() => {
          const behind = (partition: number): number =>
            log.endOffset(topic, partition) - log.position(groupName, topic, partition);
          return new Map(member.assigned.map((partition) => [partition, Math.max(0, behind(partition))]));
        }),
      leave: () =>
        attempt(() => {
          unlisten();
          const index = group.members.indexOf(member);
          if (index === -1) return;
          group.members.splice(index, 1);
          member.assigned = [];
          if (group.members.length === 0) groups.delete(groupName);
          else share(group);
        }),
    };
  }

  function startingAt(topic: Topic, from: readonly number[] = all.map(() => 0)): number[] {
    if (from.length !== partitions) {
      throw new InputError(`${from.length} offsets are given for the ${partitions} partitions of ${topic.name}.`);
    }
    from.forEach((offset, partition) => {
      const end = log.endOffset(topic, partition);
      if (offset > end) {
        throw new InputError(
          `${describePosition({ topic, partition, offset })} does not exist: the partition ends at offset ${end}. It ` +
            'was made anew since the offset was noted; begin anew too.',
        );
      }
    });
    return [...from];
  }

  function follow<T>(topic: Topic<T>, from?: readonly number[]): TopicReader<T> {
    const next = startingAt(topic, from);
    const signal = createSignal();
    const unlisten = listen(topic, () => signal.raise());
    return {
      read: (maxRecords) =>
        attempt(() => {
          for (const partition of all) {
            const batch = readFrom(topic, partition, next[partition]!, maxRecords);
            if (batch.length === 0) continue;
            next[partition] = batch.at(-1)!.offset + 1;
            return batch;
          }
          // What is left is gone: replaced, or removed.
          for (const partition of all) next[partition] = log.endOffset(topic, partition);
          return [];
        }),
      changed: (timeoutMs) => signal.wait(timeoutMs),
      markEnd: () =>
        attempt(() => {
          const ends = all.map((partition) => log.endOffset(topic, partition));
          return () => ends.every((end, partition) => next[partition]! >= end);
        }),
      close: () => attempt(unlisten),
    };
  }

  function writer(name: string): StreamWriter {
    const self = Symbol(name);
    writers.set(name, self);
    return {
      append: (outputs) =>
        attempt(() => {
          if (writers.get(name) !== self)
            throw new WriterFenced(`Another writer ${name} has been opened, or it is closed.`);
          write(outputs);
        }),
      close: () =>
        attempt(() => {
          if (writers.get(name) === self) writers.delete(name);
        }),
    };
  }

  async function* readPartitions<T>(
    topic: Topic<T>,
    from: readonly number[],
    which: readonly number[],
  ): AsyncIterable<ConsumedRecord<T>> {
    for (const partition of which) {
      for (const { offset, payload } of log.payloads(topic, partition, from[partition]!)) {
        const record = decodeRecord({ topic, partition, offset }, payload);
        if (!isPoison(record)) yield await Promise.resolve(record);
      }
    }
  }

  return {
    partitions,
    join: (group, topic) => attempt(() => join(group, topic)),
    follow: (topic, from) => attempt(() => follow(topic, from)),
    writer: (name) => attempt(() => writer(name)),
    append: (outputs) => attempt(() => write(outputs)),

    async *readAll(topic, from) {
      yield* readPartitions(topic, startingAt(topic as Topic, from), all);
    },

    async table<T>(topic: Topic<T>, partition?: number) {
      if (!topic.compacted) throw new Error(`Topic ${topic.name} is not compacted: it is no table.`);
      const byKey = new Map<string, T>();
      const beginning = startingAt(topic);
      for await (const { value } of readPartitions(topic, beginning, partition === undefined ? all : [partition])) {
        byKey.set(topic.key(value), value);
      }
      return byKey;
    },

    committed: (group, topic) => attempt(() => all.map((partition) => log.position(group, topic, partition))),
    startOffsets: () => attempt(() => all.map(() => 0)),
    endOffsets: (topic) => attempt(() => all.map((partition) => log.endOffset(topic, partition))),
    close: () => log.close(),
  };
}

function attempt<T>(action: () => T): Promise<T> {
  return new Promise((resolve) => resolve(action()));
}
