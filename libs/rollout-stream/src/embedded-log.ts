import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { acquireLock } from '@infalign/checkpoint';
import { InputError } from '@infalign/core';
import { open, type Database, type RootDatabase } from 'lmdb';
import { sealed, unsealed } from './checksum.js';
import { messageOf, type EncodedRecord } from './encoded-record.js';
import { describePosition, type Topic } from './topic.js';
import { verifyLogFile } from './verify-log-file.js';

/**
 * Address space kept for the log: its largest size. Costs nothing until it is used, and fits the 39 bits that some 64-bit
 * machines have.
 */
const maxLogBytes = 2 ** 37;

/** LMDB's error where the address space is used up. */
const mapFull = -30792;

/** Grows when the layout below changes. */
const logFormat = 2;

type Key = (string | number)[];
type Bytes = Database<Buffer, Key>;

/** The tables of the log. */
interface Tables {
  root: RootDatabase<Buffer, Key>;
  /** [topic, partition, offset] → a record, sealed. */
  records: Bytes;
  /** [topic, partition] → the offset of the next record, and how many records there are, sealed. */
  ends: Bytes;
  /** [group, topic, partition] → the offset that the group reads next, sealed. */
  positions: Bytes;
  /** [compacted topic, SHA-256 of the key] → [partition, offset] of its latest record, sealed. */
  latest: Bytes;
  /** What the whole log was written with: its format and its partitions, sealed. */
  properties: Bytes;
}

/** Where a group stands in a partition. */
export interface GroupPosition {
  readonly group: string;
  readonly topic: Topic;
  readonly partition: number;
  /** Of the record that it reads next. */
  readonly offset: number;
}

/** The records and positions on the disk. Everything is synchronous; reading verifies checksums. */
export interface EmbeddedLog {
  /** The offset of the next record. */
  endOffset(topic: Topic, partition: number): number;
  /** The offset that the group reads next. */
  position(group: string, topic: Topic, partition: number): number;
  /** The records of one partition in order. */
  payloads(topic: Topic, partition: number, from: number): Generator<{ offset: number; payload: Buffer }>;
  /** One transaction, on the disk when it returns. @throws InputError if it could not be written: it has not happened */
  write(outputs: readonly EncodedRecord[], position?: GroupPosition): void;
  close(): Promise<void>;
}

/**
 * Opens the log in a folder, or makes it, for this process alone.
 *
 * @throws InputError naming the file and the remedy, if another process has the log open, the file is damaged or no log, or
 *   it was made with another number of partitions
 */
export function openEmbeddedLog(folder: string, partitions: number): EmbeddedLog {
  const file = join(folder, 'log.mdb');
  explained(file, () => mkdirSync(folder, { recursive: true }));
  const releaseLock = explained(file, () => acquireLock(join(folder, 'log.lock'), 'the log'));
  try {
    explained(file, () => verifyLogFile(file, tableNames));
    const tables = explained(file, () => openTables(file));
    try {
      checkProperties(file, tables, partitions);
    } catch (error) {
      // There is nothing that its result would change.
      void tables.root.close();
      throw error;
    }
    return embeddedLog(file, tables, releaseLock);
  } catch (error) {
    releaseLock();
    throw error;
  }
}

const tableNames = ['records', 'ends', 'positions', 'latest', 'properties'] as const;

function openTables(file: string): Tables {
  const root = open<Buffer, Key>({
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

function embeddedLog(file: string, tables: Tables, releaseLock: () => void): EmbeddedLog {
  const { root, records, ends, positions, latest } = tables;

  function end(topic: Topic, partition: number): PartitionEnd {
    const [offset = 0, count = 0] = storedNumbers(file, ends, 'end of', [topic.name, partition]) ?? [];
    return { offset, count };
  }

  function append(outputs: readonly EncodedRecord[]): void {
    const changed = new Map<string, PartitionEnd & { key: Key }>();
    const endOf = (topic: Topic, partition: number): PartitionEnd => {
      const key = [topic.name, partition];
      const known = changed.get(place(key)) ?? { ...end(topic, partition), key };
      changed.set(place(key), known);
      return known;
    };
    for (const { topic, partition, key, payload } of outputs) {
      const next = endOf(topic, partition);
      if (topic.compacted) {
        const previous = replace(topic, partition, key, payload && next.offset);
        if (previous !== undefined) endOf(topic, previous).count--;
      }
      if (!payload) continue;
      const recordKey = [topic.name, partition, next.offset];
      void records.put(recordKey, sealed(place(recordKey), payload));
      next.offset++;
      next.count++;
    }
    for (const { key, offset, count } of changed.values()) void ends.put(key, sealedNumbers(key, [offset, count]));
  }

  /**
   * Removes the latest record of a key, and notes the one about to be written.
   *
   * @param offset of the one about to be written, if there will be one
   * @returns the partition in which there was one
   */
  function replace(topic: Topic, partition: number, key: string, offset: number | undefined): number | undefined {
    const latestKey = [topic.name, createHash('sha256').update(key).digest('hex')];
    const previous = storedNumbers(file, latest, 'latest record of', latestKey);
    if (previous) void records.remove([topic.name, previous[0]!, previous[1]!]);
    if (offset !== undefined) void latest.put(latestKey, sealedNumbers(latestKey, [partition, offset]));
    else if (previous) void latest.remove(latestKey);
    return previous?.[0];
  }

  return {
    endOffset: (topic, partition) => end(topic, partition).offset,

    position: (group, topic, partition) =>
      storedNumbers(file, positions, 'position of', [group, topic.name, partition])?.[0] ?? 0,

    *payloads(topic, partition, from) {
      const { offset: endOffset, count } = end(topic, partition);
      let expected = from;
      let seen = 0;
      const range = records.getRange({ start: [topic.name, partition, from], end: [topic.name, partition, endOffset] });
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
        seen++;
      }
      if (topic.compacted ? from === 0 && seen !== count : expected < endOffset) {
        throw damaged(file, describePosition({ topic, partition, offset: expected }), 'a record is missing');
      }
    },

    write(outputs, position) {
      try {
        root.transactionSync(() => {
          append(outputs);
          if (position) {
            const key = [position.group, position.topic.name, position.partition];
            void positions.put(key, sealedNumbers(key, [position.offset]));
          }
        });
      } catch (error) {
        const { code } = error as { code?: number };
        if (typeof code !== 'number') throw error;
        throw new InputError(
          code === mapFull
            ? `${file}: the log has reached its largest size, ${maxLogBytes / 2 ** 30} GiB. Begin again in a new folder.`
            : `${file}: the log could not be written (${messageOf(error)}), and is as it was before. Most likely the disk ` +
                'is full: make room and run again.',
          { cause: error },
        );
      }
    },

    async close() {
      await root.close();
      releaseLock();
    },
  };
}

interface PartitionEnd {
  offset: number;
  count: number;
}

function checkProperties(file: string, tables: Tables, partitions: number): void {
  const stored = (name: string): number | undefined => storedNumbers(file, tables.properties, 'property', [name])?.[0];
  const expected = { format: logFormat, partitions };
  const format = stored('format');
  if (format === undefined) {
    explained(file, () =>
      tables.root.transactionSync(() => {
        for (const [name, value] of Object.entries(expected)) {
          void tables.properties.put([name], sealedNumbers([name], [value]));
        }
      }),
    );
    return;
  }
  if (format !== logFormat) {
    throw new InputError(
      `${file}: the log was written by another version of this program (format ${format}, not ${logFormat}); use that ` +
        'version, or a new folder.',
    );
  }
  if (stored('partitions') !== partitions) {
    throw new InputError(
      `${file}: the log was made with ${stored('partitions')} partitions, not ${partitions}; open it with that number, or ` +
        'use a new folder.',
    );
  }
}

/** The numbers stored under a key; nothing if there are none. */
function storedNumbers(file: string, table: Bytes, what: string, key: Key): number[] | undefined {
  const stored = table.get(key);
  if (stored === undefined) return undefined;
  const payload = unsealed(place(key), stored);
  if (!payload) throw damaged(file, `${what} ${key.join(', ')}`, 'its checksum does not match');
  return Array.from({ length: payload.length / 8 }, (_, index) => payload.readDoubleLE(index * 8));
}

function sealedNumbers(key: Key, numbers: readonly number[]): Buffer {
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
