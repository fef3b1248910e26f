/** Bytes of a number, by the floating-point types that are read. */
export const floatBytes = { F32: 4, F16: 2, BF16: 2 } as const;

/** IEEE 754 single and half precision, and the upper half of single precision; little-endian. */
export type FloatType = keyof typeof floatBytes;

/** Decodes numbers of a type into 32-bit floats, all exactly. `bytes` holds as many numbers as `target`. */
export function decodeFloats(type: FloatType, bytes: Buffer, target: Float32Array): void {
  switch (type) {
    case 'F32':
      // A copy of bytes: those of a file need not be aligned to four.
      Buffer.from(target.buffer, target.byteOffset, target.byteLength).set(bytes);
      return;
    case 'BF16': {
      const bits = new Uint32Array(target.buffer, target.byteOffset, target.length);
      for (let index = 0; index < bits.length; index++) bits[index] = bytes.readUInt16LE(2 * index) << 16;
      return;
    }
    case 'F16':
      for (let index = 0; index < target.length; index++) target[index] = halfToNumber(bytes.readUInt16LE(2 * index));
  }
}

/** The number whose IEEE 754 half-precision bits these are. */
export function halfToNumber(bits: number): number {
  halves ??= Float32Array.from({ length: 2 ** 16 }, (_, bits) => computeHalf(bits));
  return halves[bits]!;
}

/** All numbers of half precision: to look one up is several times as fast as to compute it. */
let halves: Float32Array | undefined;

function computeHalf(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1024 + fraction) * 2 ** (exponent - 25);
}
