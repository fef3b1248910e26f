import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import { open, type Database, type RootDatabase } from 'lmdb';
import { sealed, unsealed } from './checksum.js';
import { acquireLogLock } from './log-lock.js';
import type { RolloutStream } from './rollout-stream.js';
import {
  describePosition,
  isPoison,
  partitionOf,
  type ConsumedRecord,
  type OutgoingRecord,
  type PoisonRecord,
  type RecordPosition,
  type Topic,
} from './topic.js';
import { verifyLogFile } from './verify-log-file.js';

/**
 * Address space kept for the log: its largest size. Costs nothing until it is used, and fits the 39 bits that some 64-bit
 * machines have.
 */
const maxLogBytes = 2 ** 37;

/** LMDB's error where the address space is used up. */
const mapFull = -30792;

/** Grows when the layout below changes. */
const logFormat = 1;

type Bytes = Database<Buffer, (string | number)[]>;

/** The tables of the log. */
interface Tables {
  root: RootDatabase<Buffer, (string | number)[]>;
  /** [topic, partition, offset] → a record, sealed. */
  records: Bytes;
  /** [topic, partition] → the offset of the next record, sealed. */
  ends: Bytes;
  /** [group, topic, partition] → the offset that the group reads next, sealed. */
  positions: Bytes;
  /** [compacted topic, SHA-256 of the key] → [partition, offset] of its latest record, sealed. */
  latest: Bytes;
  /** What the whole log was written with: its format, and [topic] → partitions, sealed. */
  properties: Bytes;
}

/**
 * Opens the durable log in a folder, or makes it, for this process alone: rollout streams on one machine, with no server.
 *
 * A transaction that was acknowledged survives `kill -9` and loss of power; one that was not leaves no trace. Everything
 * is stored with a checksum that is verified when it is read, and the file's structure is verified when it is opened.
 *
 * @throws InputError naming the file and the remedy, if another process has the log open, or the file is damaged or no log
 */
export function openEmbeddedStream(folder: string): RolloutStream {
  const file = join(folder, 'log.mdb');
  explained(file, () => mkdirSync(folder, { recursive: true }));
  const releaseLock = explained(file, () => acquireLogLock(join(folder, 'log.lock')));
  try {
    explained(file, () => verifyLogFile(file, tableNames));
    const tables = explained(file, () => openTables(file));
    checkProperty(
      file,
      tables,
      'format',
      logFormat,
      'was written by another version of this program; use that version',
    );
    return embeddedStream(file, tables, releaseLock);
  } catch (error) {
    releaseLock();
    throw error;
  }
}

const tableNames = ['records', 'ends', 'positions', 'latest', 'properties'] as const;

function openTables(file: string): Tables {
  const root = open<Buffer, (string | number)[]>({
    path: file,
    noSubdir: true,
    mapSize: maxLogBytes,
    // Commits return when the data is on the disk.
    overlappingSync: false,
    encoding: 'binary',
  });
  const table = (name: (typeof tableNames)[number]): Bytes => root.openDB({ name, encoding: 'binary' });
  return {
    root,
    records: table('records'),
    ends: table('ends'),
    positions: table('positions'),
    latest: table('latest'),
    properties: table('properties'),
  };
}

function embeddedStream(file: string, tables: Tables, releaseLock: () => void): RolloutStream {
  const { root, records, ends, positions, latest } = tables;
  const checkedTopics = new Set<string>();

  function checkTopic(topic: Topic): void {
    if (checkedTopics.has(topic.name)) return;
    checkProperty(
      file,
      tables,
      topic.name,
      topic.partitions,
      `has another number of partitions than the ${topic.partitions} of topic ${topic.name}; use a new folder`,
    );
    checkedTopics.add(topic.name);
  }

  function endOffset(topic: Topic, partition: number): number {
    return storedNumbers(file, ends, 'end of', [topic.name, partition])?.[0] ?? 0;
  }

  function position(group: string, topic: Topic, partition: number): number {
    return storedNumbers(file, positions, 'position of', [group, topic.name, partition])?.[0] ?? 0;
  }

  /** Verified payloads of one partition, in order. */
  function* payloads(topic: Topic, partition: number, from: number): Generator<{ offset: number; payload: Buffer }> {
    const end = endOffset(topic, partition);
    let expected = from;
    const range = records.getRange({
      start: [topic.name, partition, from],
      end: [topic.name, partition, end],
    });
    for (const { key, value } of range) {
      const offset = key[2] as number;
      if (!topic.compacted && offset !== expected) break;
      const payload = unsealed(place(key), value);
      if (!payload) {
        throw damaged(
          file,
          describePosition({ topic, partition, offset }),
          'the checksum of the record does not match',
        );
      }
      yield { offset, payload };
      expected = offset + 1;
    }
    // The latest record of a partition outlives compaction.
    if (expected < end) {
      throw damaged(file, describePosition({ topic, partition, offset: expected }), 'the record is missing');
    }
  }

  function write(outputs: readonly EncodedRecord[]): void {
    const next = new Map<string, { key: (string | number)[]; offset: number }>();
    for (const { topic, partition, key, bytes } of outputs) {
      const endKey = [topic.name, partition];
      let end = next.get(place(endKey));
      if (!end) next.set(place(endKey), (end = { key: endKey, offset: endOffset(topic, partition) }));
      const recordKey = [topic.name, partition, end.offset];
      if (topic.compacted) compact(topic, partition, key(), end.offset);
      void records.put(recordKey, sealed(place(recordKey), bytes));
      end.offset++;
    }
    for (const { key, offset } of next.values()) void ends.put(key, sealedNumbers(key, [offset]));
  }

  /** Removes the record that the one about to be written replaces. */
  function compact(topic: Topic, partition: number, key: string, offset: number): void {
    const latestKey = [topic.name, createHash('sha256').update(key).digest('hex')];
    const previous = storedNumbers(file, latest, 'latest record of', latestKey);
    if (previous) void records.remove([topic.name, previous[0]!, previous[1]!]);
    void latest.put(latestKey, sealedNumbers(latestKey, [partition, offset]));
  }

  function transaction(action: () => void): void {
    try {
      root.transactionSync(action);
    } catch (error) {
      const { code } = error as { code?: number };
      if (typeof code !== 'number') throw error;
      throw new InputError(
        code === mapFull
          ? `${file}: the log has reached its largest size, ${maxLogBytes / 2 ** 30} GiB. Begin again in a new folder.`
          : `${file}: the log could not be written (${messageOf(error)}), and is as it was before. Most likely the disk is ` +
              'full: make room and run again.',
        { cause: error },
      );
    }
  }

  const stream: RolloutStream = {
    read(group, topics, maxRecords) {
      return attempt(() => {
        const batch: (ConsumedRecord | PoisonRecord)[] = [];
        let decoded = 0;
        for (const topic of topics) {
          checkTopic(topic);
          for (let partition = 0; partition < topic.partitions; partition++) {
            for (const { offset, payload } of payloads(topic, partition, position(group, topic, partition))) {
              if (decoded === maxRecords || (decoded === 0 && batch.length === maxRecords)) return batch;
              const record = decode({ topic, partition, offset }, payload);
              if (!isPoison(record)) decoded++;
              batch.push(record);
            }
          }
        }
        return batch;
      });
    },

    commit(group, consumed, outputs) {
      return attempt(() => {
        const encoded = outputs.map(encode);
        encoded.forEach(({ topic }) => checkTopic(topic));
        transaction(() => {
          const next = new Map<string, { key: (string | number)[]; offset: number }>();
          for (const record of consumed) {
            const { topic, partition, offset } = record;
            const key = [group, topic.name, partition];
            const expected = next.get(place(key))?.offset ?? position(group, topic, partition);
            if (topic.compacted ? offset < expected : offset !== expected) {
              throw new Error(
                `Group ${group} commits ${describePosition(record)}, but it stands at offset ${expected}.`,
              );
            }
            next.set(place(key), { key, offset: offset + 1 });
          }
          for (const { key, offset } of next.values()) void positions.put(key, sealedNumbers(key, [offset]));
          write(encoded);
        });
      });
    },

    append(outputs) {
      return attempt(() => {
        const encoded = outputs.map(encode);
        encoded.forEach(({ topic }) => checkTopic(topic));
        transaction(() => write(encoded));
      });
    },

    async *readAll(topic, fromOffset = 0) {
      checkTopic(topic);
      for (let partition = 0; partition < topic.partitions; partition++) {
        for (const { offset, payload } of payloads(topic, partition, fromOffset)) {
          yield await Promise.resolve(decodeOrThrow(topic, partition, offset, payload));
        }
      }
    },

    async table<T>(topic: Topic<T>) {
      if (!topic.compacted) throw new Error(`Topic ${topic.name} is not compacted: it is no table.`);
      const byKey = new Map<string, T>();
      for await (const { value } of stream.readAll(topic)) {
        const key = topic.key(value);
        byKey.delete(key);
        byKey.set(key, value);
      }
      return byKey;
    },

    committed(group, topic) {
      return attempt(() =>
        Array.from({ length: topic.partitions }, (_, partition) => position(group, topic, partition)),
      );
    },

    endOffsets(topic) {
      return attempt(() => Array.from({ length: topic.partitions }, (_, partition) => endOffset(topic, partition)));
    },

    async close() {
      await root.close();
      releaseLock();
    },
  };
  return stream;
}

interface EncodedRecord {
  topic: Topic;
  partition: number;
  key: () => string;
  bytes: Uint8Array;
}

/** Before the transaction begins, so that a record that is refused costs nothing. */
function encode({ topic, value }: OutgoingRecord): EncodedRecord {
  try {
    const bytes = topic.codec.encode(value);
    return { topic, partition: partitionOf(topic, value), key: () => topic.key(value), bytes };
  } catch (error) {
    throw new InputError(`A record for ${topic.name} is not valid: ${messageOf(error)}`, { cause: error });
  }
}

function decode(position: RecordPosition, payload: Buffer): ConsumedRecord | PoisonRecord {
  try {
    return { ...position, value: position.topic.codec.decode(payload) };
  } catch (error) {
    return { ...position, reason: messageOf(error), payload };
  }
}

function decodeOrThrow<T>(topic: Topic<T>, partition: number, offset: number, payload: Buffer): ConsumedRecord<T> {
  try {
    return { topic, partition, offset, value: topic.codec.decode(payload) };
  } catch (error) {
    throw new InputError(`${describePosition({ topic, partition, offset })} is not valid: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

function checkProperty(file: string, tables: Tables, name: string, value: number, problem: string): void {
  const stored = storedNumbers(file, tables.properties, 'property', [name])?.[0];
  if (stored === undefined) {
    explained(file, () =>
      tables.root.transactionSync(() => void tables.properties.put([name], sealedNumbers([name], [value]))),
    );
  } else if (stored !== value) throw new InputError(`${file}: the log ${problem}.`);
}

/** The numbers stored under a key; nothing if there are none. */
function storedNumbers(file: string, table: Bytes, what: string, key: (string | number)[]): number[] | undefined {
  const stored = table.get(key);
  if (stored === undefined) return undefined;
  const payload = unsealed(place(key), stored);
  if (!payload) throw damaged(file, `${what} ${key.join(', ')}`, 'its checksum does not match');
  return Array.from({ length: payload.length / 8 }, (_, index) => payload.readDoubleLE(index * 8));
}

function sealedNumbers(key: (string | number)[], numbers: readonly number[]): Buffer {
  const payload = Buffer.alloc(numbers.length * 8);
  numbers.forEach((number, index) => payload.writeDoubleLE(number, index * 8));
  return sealed(place(key), payload);
}

function place(key: readonly (string | number)[]): string {
  return key.join('\n');
}

function damaged(file: string, where: string, problem: string): InputError {
  return new InputError(
    `${file}: the log is damaged: ${where}: ${problem}. Restore the file from a copy, or begin again in a new folder.`,
  );
}

/** Runs an access to the file; what the operating system or the database refuses becomes a message for the user. */
function explained<T>(file: string, access: () => T): T {
  try {
    return access();
  } catch (error) {
    const { code } = error as { code?: string | number };
    if (code === undefined || error instanceof InputError) throw error;
    throw new InputError(`${file}: ${messageOf(error)} (${code})`, { cause: error });
  }
}

function attempt<T>(action: () => T): Promise<T> {
  return new Promise((resolve) => resolve(action()));
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
