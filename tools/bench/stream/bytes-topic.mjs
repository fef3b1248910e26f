/**
 * A topic of plain bytes, which cost nothing to encode and to decode: what is measured is the stream alone. Records spread
 * over the partitions.
 *
 * @returns {import('@infalign/rollout-stream').Topic<Buffer>}
 */
export function bytesTopic(name) {
  let made = 0;
  return {
    name,
    compacted: false,
    codec: { encode: (bytes) => bytes, decode: (bytes) => bytes },
    key: () => '',
    partitionKey: () => String(made++),
  };
}

/** Random capital letters, as the Java tool sends them; the same every time. */
export function payloads(count, bytes) {
  let state = 1;
  return Array.from({ length: count }, () => {
    const payload = Buffer.allocUnsafe(bytes);
    for (let index = 0; index < bytes; index++) {
      state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
      payload[index] = 65 + ((state >>> 16) % 26);
    }
    return payload;
  });
}
