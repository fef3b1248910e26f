import { gunzipSync } from 'node:zlib';
import { compressFrameSync, decompressFrameSync } from 'lz4-napi';
import { crc32c } from './crc32c.js';

// Record batches as they lie in Kafka's log (format 2). They are read and written here because kafkajs neither verifies
// their checksums nor tells where a batch ends whose last records are gone: a reader would stop there, or step over what
// follows.
const baseOffsetAt = 0;
const lengthAt = 8;
const magicAt = 16;
const checksumAt = 17;
const attributesAt = 21;
const lastOffsetDeltaAt = 23;
const baseTimestampAt = 27;
const maxTimestampAt = 35;
const producerIdAt = 43;
const producerEpochAt = 51;
const baseSequenceAt = 53;
const countAt = 57;
const recordsAt = 61;

/** What a batch's length does not count. */
const overhead = 12;

const codecMask = 0x07;
const gzip = 1;
const lz4 = 3;
const transactional = 0x10;
const control = 0x20;

/** What is to be written of one record. */
export interface RecordContent {
  readonly key: string;
  /** Nothing: the key has no record any more. */
  readonly value: Uint8Array | undefined;
  /** The W3C trace context that it belongs to, in the header that OpenTelemetry names. */
  readonly trace?: string | undefined;
}

/** The header of the W3C trace context. */
const traceHeader = Buffer.from('traceparent');

/** Who writes a batch, and where it stands among what it has written to the partition. */
export interface BatchOrigin {
  readonly producerId: string;
  readonly producerEpoch: number;
  /** Records that were written before to the partition, modulo 2³¹. */
  readonly sequence: number;
}

/** A transactional batch, compressed with LZ4 where that makes it smaller, to be sent as it is. */
export function encodeBatch(records: readonly RecordContent[], origin: BatchOrigin): Buffer {
  const keys = records.map(({ key }) => Buffer.from(key));
  const bodies = records.map(({ value, trace }, index) => {
    const key = keys[index]!;
    // One byte each: attributes, the difference of timestamps, and how many headers there are.
    return (
      3 +
      varintSize(index) +
      varintSize(key.length) +
      key.length +
      varintSize(value?.length ?? -1) +
      (value?.length ?? 0) +
      (trace === undefined
        ? 0
        : varintSize(traceHeader.length) + traceHeader.length + varintSize(trace.length) + trace.length)
    );
  });
  const plain = Buffer.allocUnsafe(bodies.reduce((sum, body) => sum + varintSize(body) + body, 0));
  let at = 0;
  records.forEach(({ value, trace }, index) => {
    const key = keys[index]!;
    at = writeVarint(plain, at, bodies[index]!);
    plain[at++] = 0;
    plain[at++] = 0;
    at = writeVarint(plain, at, index);
    at = writeVarint(plain, at, key.length);
    plain.set(key, at);
    at = writeVarint(plain, at + key.length, value?.length ?? -1);
    if (value) plain.set(value, at);
    at += value?.length ?? 0;
    at = writeVarint(plain, at, trace === undefined ? 0 : 1);
    if (trace === undefined) return;
    at = writeVarint(plain, at, traceHeader.length);
    plain.set(traceHeader, at);
    at = writeVarint(plain, at + traceHeader.length, trace.length);
    at += plain.write(trace, at, 'latin1');
  });
  const compressed = smaller(plain);
  const contents = compressed ?? plain;
  const batch = Buffer.allocUnsafe(recordsAt + contents.length);
  const now = BigInt(Date.now());
  batch.fill(0, 0, recordsAt);
  batch.writeInt32BE(batch.length - overhead, lengthAt);
  batch[magicAt] = 2;
  batch.writeInt16BE((compressed ? lz4 : 0) | transactional, attributesAt);
  batch.writeInt32BE(records.length - 1, lastOffsetDeltaAt);
  batch.writeBigInt64BE(now, baseTimestampAt);
  batch.writeBigInt64BE(now, maxTimestampAt);
  batch.writeBigInt64BE(BigInt(origin.producerId), producerIdAt);
  batch.writeInt16BE(origin.producerEpoch, producerEpochAt);
  batch.writeInt32BE(origin.sequence, baseSequenceAt);
  batch.writeInt32BE(records.length, countAt);
  batch.set(contents, recordsAt);
  batch.writeUInt32BE(crc32c(batch, attributesAt), checksumAt);
  return batch;
}

/** Of a batch, so many bytes show whether it is worth compressing: what does not shrink costs the more time for it. */
const sampleBytes = 4096;
const worthwhile = 0.95;

/** The same, compressed; nothing if that is hardly smaller. */
function smaller(plain: Buffer): Buffer | undefined {
  const sample = compressFrameSync(plain.subarray(0, sampleBytes));
  if (sample.length > worthwhile * Math.min(plain.length, sampleBytes)) return undefined;
  return plain.length <= sampleBytes ? sample : compressFrameSync(plain);
}

/** A record as it was fetched. */
export interface FetchedRecord {
  readonly offset: number;
  readonly key: Buffer | undefined;
  /** Nothing: the key has no record any more. */
  readonly value: Buffer | undefined;
  /** The W3C trace context in its header, as it stands there; nothing where there is none. */
  readonly trace: string | undefined;
}

/** What was fetched of one partition. */
export interface FetchedRecords {
  /** Committed ones, by ascending offset; from the batch on that holds the offset asked for, which may begin before it. */
  readonly records: FetchedRecord[];
  /** The offset after the last batch; nothing if there is no batch. */
  readonly next: number | undefined;
}

/** A transaction whose records are in the log, but are none. */
export interface AbortedTransaction {
  readonly producerId: bigint;
  readonly firstOffset: number;
}

/**
 * The committed records in the batches that a broker sent.
 *
 * @param bytes batches one after another; the last may be cut off
 * @param aborted the aborted transactions that have records in them
 * @throws Error if a batch is damaged, or compressed in a way not known here
 */
export function decodeBatches(bytes: Buffer, aborted: readonly AbortedTransaction[]): FetchedRecords {
  const records: FetchedRecord[] = [];
  const waiting = [...aborted].sort((a, b) => a.firstOffset - b.firstOffset);
  /** Producers whose transaction, where we are now, was aborted. */
  const aborting = new Set<bigint>();
  let next: number | undefined;
  for (let start = 0; start + recordsAt <= bytes.length;) {
    const end = start + overhead + bytes.readInt32BE(start + lengthAt);
    if (end > bytes.length) break;
    const batch = bytes.subarray(start, end);
    const baseOffset = Number(batch.readBigInt64BE(baseOffsetAt));
    verify(batch, baseOffset);
    const lastOffset = baseOffset + batch.readInt32BE(lastOffsetDeltaAt);
    const attributes = batch.readInt16BE(attributesAt);
    const producerId = batch.readBigInt64BE(producerIdAt);
    while (waiting.length > 0 && waiting[0]!.firstOffset <= lastOffset) aborting.add(waiting.shift()!.producerId);
    if (attributes & control) aborting.delete(producerId);
    else if (!(attributes & transactional && aborting.has(producerId))) decodeRecords(batch, baseOffset, records);
    next = lastOffset + 1;
    start = end;
  }
  return { records, next };
}

function verify(batch: Buffer, baseOffset: number): void {
  if (batch[magicAt] !== 2) {
    throw new Error(`The record batch at offset ${baseOffset} has format ${batch[magicAt]}, which is not known here.`);
  }
  if (batch.readUInt32BE(checksumAt) !== crc32c(batch, attributesAt)) {
    throw new Error(`The record batch at offset ${baseOffset} is damaged: its checksum does not match.`);
  }
}

function decodeRecords(batch: Buffer, baseOffset: number, into: FetchedRecord[]): void {
  const count = batch.readInt32BE(countAt);
  const input = { bytes: decompressed(batch, baseOffset), at: 0 };
  for (let index = 0; index < count; index++) {
    const end = readVarint(input) + input.at;
    input.at += 1;
    skipVarlong(input);
    const offset = baseOffset + readVarint(input);
    const key = readBytes(input);
    const value = readBytes(input);
    into.push({ offset, key, value, trace: readTrace(input) });
    // Other headers are of no concern.
    input.at = end;
  }
}

/** The value of the header of the trace context, if there is one. */
function readTrace(input: Input): string | undefined {
  for (let left = readVarint(input); left > 0; left--) {
    const name = readBytes(input);
    const value = readBytes(input);
    if (value && name?.equals(traceHeader)) return value.toString('latin1');
  }
  return undefined;
}

function decompressed(batch: Buffer, baseOffset: number): Buffer {
  const records = batch.subarray(recordsAt);
  const codec = batch.readInt16BE(attributesAt) & codecMask;
  if (codec === 0 || records.length === 0) return records;
  if (codec === lz4) return decompressFrameSync(records);
  if (codec === gzip) return gunzipSync(records);
  throw new Error(
    `The record batch at offset ${baseOffset} is compressed with codec ${codec}; only gzip and LZ4 are known.`,
  );
}

interface Input {
  readonly bytes: Buffer;
  at: number;
}

function readBytes(input: Input): Buffer | undefined {
  const length = readVarint(input);
  if (length < 0) return undefined;
  const start = input.at;
  input.at += length;
  if (input.at > input.bytes.length) throw new Error('A record reaches beyond its batch.');
  return input.bytes.subarray(start, input.at);
}

/** Of at most 32 bits, signs alternating. */
function readVarint(input: Input): number {
  let value = 0;
  for (let shift = 0; shift < 35; shift += 7) {
    const byte = input.bytes[input.at++];
    if (byte === undefined) break;
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return (value >>> 1) ^ -(value & 1);
  }
  throw new Error('A record batch holds a number that does not end.');
}

function skipVarlong(input: Input): void {
  while (input.bytes[input.at++]! >= 0x80);
}

function varintSize(value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  let size = 1;
  for (; rest >= 0x80; rest >>>= 7) size++;
  return size;
}

function writeVarint(bytes: Buffer, start: number, value: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  let at = start;
  for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
  bytes[at++] = rest;
  return at;
}
