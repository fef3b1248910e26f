import type { ConsumedRecord, PoisonRecord } from '@infalign/rollout-stream';

/** A record as a line of JSON: its place, and its value, or why it could not be decoded with its bytes in base64. */
export function recordLine(record: ConsumedRecord | PoisonRecord): string {
  const { partition, offset } = record;
  const content =
    'reason' in record
      ? { reason: record.reason, payload: Buffer.from(record.payload).toString('base64') }
      : { value: record.value };
  return `${JSON.stringify({ partition, offset, ...content }, (_, value: unknown) =>
    value instanceof Uint8Array ? Buffer.from(value).toString('base64') : value,
  )}\n`;
}
