import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { fileError } from './file-error.js';
import { TEMPORARY_FILE_ADVICE } from './temporary-folder.js';

/** Number of parts that a join too large for memory is split into. */
export const PARTITION_COUNT = 256;

/** The part a prompt belongs to: the same for every file. */
export function partitionOf(promptId: string): number {
  let hash = 0x811c9dc5; // FNV-1a
  for (let index = 0; index < promptId.length; index++) {
    hash = Math.imul(hash ^ promptId.charCodeAt(index), 0x01000193);
  }
  hash ^= hash >>> 16;
  return hash & (PARTITION_COUNT - 1);
}

/** Appends to one temporary file a partition. Files are opened only to append, so that few are open at a time. */
export interface PartitionWriter {
  /** Adds a prompt's rewards to the partition it belongs to. */
  readonly writeRewards: (promptId: string, line: number, rewards: Float64Array) => void;
  /** Adds bare numbers to a partition. */
  writeNumber(partition: number, value: number): void;
  /** Writes what is still in memory. Nothing can be added afterwards. */
  finish(): void;
}

const BUFFER_BYTES = 1 << 16;
const HEADER_BYTES = 16;

/** Where a kind's partition lies. It exists only when something was written to it. */
export function partitionFile(folder: string, kind: string, partition: number): string {
  return join(folder, `${kind}-${partition}`);
}

/**
 * Makes a writer of partition files. A record is: bytes of the id (uint32), number of rewards (uint32), line (float64),
 * the id in UTF-8, the rewards (float64 each, in this machine's byte order, for the files do not outlive the run).
 *
 * @param folder - an existing folder
 * @param kind - the first part of the files' names
 * @throws InputError when the disk is full
 */
export function createPartitionWriter(folder: string, kind: string): PartitionWriter {
  const buffers: (Buffer | undefined)[] = new Array<undefined>(PARTITION_COUNT);
  const filled = new Uint32Array(PARTITION_COUNT);
  const header = Buffer.alloc(HEADER_BYTES);
  const oneNumber = new Float64Array(1);
  const oneNumberBytes = Buffer.from(oneNumber.buffer);

  const append = (partition: number, bytes: Buffer) => {
    try {
      const descriptor = openSync(partitionFile(folder, kind, partition), 'a');
      try {
        for (let written = 0; written < bytes.length;) written += writeSync(descriptor, bytes, written);
      } finally {
        closeSync(descriptor);
      }
    } catch (error) {
      throw fileError(error, folder, TEMPORARY_FILE_ADVICE);
    }
  };
  const flush = (partition: number) => {
    if (filled[partition]! > 0) append(partition, buffers[partition]!.subarray(0, filled[partition]));
    filled[partition] = 0;
  };
  const put = (partition: number, bytes: Buffer) => {
    if (filled[partition]! + bytes.length > BUFFER_BYTES) flush(partition);
    if (bytes.length > BUFFER_BYTES) return append(partition, bytes);
    const buffer = (buffers[partition] ??= Buffer.allocUnsafe(BUFFER_BYTES));
    bytes.copy(buffer, filled[partition]);
    filled[partition]! += bytes.length;
  };

  return {
    writeRewards(promptId, line, rewards) {
      const partition = partitionOf(promptId);
      const id = Buffer.from(promptId, 'utf8');
      header.writeUInt32LE(id.length, 0);
      header.writeUInt32LE(rewards.length, 4);
      header.writeDoubleLE(line, 8);
      put(partition, header);
      put(partition, id);
      put(partition, Buffer.from(rewards.buffer, rewards.byteOffset, rewards.byteLength));
    },
    writeNumber(partition, value) {
      oneNumber[0] = value;
      put(partition, oneNumberBytes);
    },
    finish() {
      for (let partition = 0; partition < PARTITION_COUNT; partition++) flush(partition);
      buffers.fill(undefined);
    },
  };
}

/**
 * Visits the records of one partition, in the order they were written.
 *
 * @param visit - the rewards are valid only until it returns
 */
export async function forEachRecord(
  file: string,
  visit: (promptId: string, line: number, rewards: Float64Array) => void,
  signal?: AbortSignal,
): Promise<void> {
  const handle = await open(file).catch((error: unknown) => {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  });
  if (handle === undefined) return;
  try {
    let buffer = Buffer.allocUnsafe(1 << 20);
    let filled = 0;
    let rewards = new Float64Array(256);
    let rewardBytes = new Uint8Array(rewards.buffer);
    for (;;) {
      signal?.throwIfAborted();
      const { bytesRead } = await handle.read(buffer, filled, buffer.length - filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
      let position = 0;
      let wanted = 0;
      while (filled - position >= HEADER_BYTES) {
        const idBytes = buffer.readUInt32LE(position);
        const count = buffer.readUInt32LE(position + 4);
        wanted = HEADER_BYTES + idBytes + 8 * count;
        if (filled - position < wanted) break;
        const line = buffer.readDoubleLE(position + 8);
        const rewardsStart = position + HEADER_BYTES + idBytes;
        if (count > rewards.length) {
          rewards = new Float64Array(2 * count);
          rewardBytes = new Uint8Array(rewards.buffer);
        }
        buffer.copy(rewardBytes, 0, rewardsStart, rewardsStart + 8 * count);
        visit(buffer.toString('utf8', position + HEADER_BYTES, rewardsStart), line, rewards.subarray(0, count));
        position += wanted;
        wanted = 0;
      }
      const rest = filled - position;
      if (wanted > buffer.length) {
        const larger = Buffer.allocUnsafe(wanted);
        buffer.copy(larger, 0, position, filled);
        buffer = larger;
      } else {
        buffer.copyWithin(0, position, filled);
      }
      filled = rest;
    }
    if (filled > 0) throw new Error(`${file} ends in the middle of a record`);
  } finally {
    await handle.close();
  }
}

/**
 * Reads back the bare numbers of all partitions.
 *
 * @returns a function that gives a partition's next number, in the order they were written
 */
export function createNumberReader(folder: string, kind: string): (partition: number) => number {
  const buffers: (Float64Array | undefined)[] = new Array<undefined>(PARTITION_COUNT);
  const positions = new Uint32Array(PARTITION_COUNT);
  const available = new Uint32Array(PARTITION_COUNT);
  const offsets = new Float64Array(PARTITION_COUNT);

  const refill = (partition: number) => {
    const buffer = (buffers[partition] ??= new Float64Array(BUFFER_BYTES / 8));
    const descriptor = openSync(partitionFile(folder, kind, partition), 'r');
    try {
      const bytes = readSync(descriptor, buffer, 0, buffer.byteLength, offsets[partition]!);
      if (bytes === 0) throw new Error(`${folder}: no more numbers in partition ${partition} of ${kind}`);
      offsets[partition]! += bytes;
      available[partition] = bytes / 8;
      positions[partition] = 0;
    } finally {
      closeSync(descriptor);
    }
  };

  return (partition) => {
    if (positions[partition] === available[partition]) refill(partition);
    return buffers[partition]![positions[partition]!++]!;
  };
}
