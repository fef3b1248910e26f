import { crc32 } from 'node:zlib';

/**
 * What is stored for a payload: its CRC-32, little-endian, then the payload. The checksum covers the place too, so that
 * bytes which turn up elsewhere in the file are not taken for what belongs there.
 */
export function sealed(place: string, payload: Uint8Array): Buffer {
  const stored = Buffer.allocUnsafe(4 + payload.length);
  stored.set(payload, 4);
  stored.writeUInt32LE(crc32(payload, crc32(place)), 0);
  return stored;
}

/** The payload of what {@link sealed} made for that place; nothing if it was changed since. */
export function unsealed(place: string, stored: Buffer): Buffer | undefined {
  if (stored.length < 4) return undefined;
  const payload = stored.subarray(4);
  return stored.readUInt32LE(0) === crc32(payload, crc32(place)) ? payload : undefined;
}
