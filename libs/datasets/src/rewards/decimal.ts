/** Where a scanner stands in its bytes; it moves as numbers are read. */
export interface ByteCursor {
  position: number;
}

const MINUS = 0x2d;
const PLUS = 0x2b;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;
const LOWER_E = 0x65;
const UPPER_E = 0x45;

/** Powers of ten that a double holds exactly. */
const POWERS_OF_TEN = Float64Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** Veltkamp's constant: splits a double into two halves of at most 26 bits. */
const SPLIT = 2 ** 27 + 1;

/** Relative margin around the correction below: far above its own rounding error (about 2^-51), far below one. */
const MARGIN = 2 ** -45;

/**
 * Reads one JSON number from bytes, without making a string of it. It answers only when the result is certain to be the
 * double nearest to the decimal, that is, the same as `JSON.parse` gives.
 *
 * Up to 18 significant digits are kept as an exact sum of two doubles and divided by a power of ten with one step of
 * compensated division (Dekker 1971). If the rounding of the corrected quotient could depend on what the correction
 * itself lost, there is no answer.
 *
 * @param bytes - UTF-8 text
 * @param cursor - at the number's first byte; moved behind its last one. Undefined position when the answer is NaN.
 * @returns the number, or NaN when it is malformed or outside what is handled here (more than 18 digits, large
 * exponents): ask `JSON.parse` then.
 */
export function scanDecimal(bytes: Uint8Array, cursor: ByteCursor): number {
  let position = cursor.position;
  let byte = bytes[position];
  const negative = byte === MINUS;
  if (negative) byte = bytes[++position];

  let high = 0; // the first nine significant digits
  let low = 0; // the next nine
  let lowDigits = 0;
  let significant = 0;
  let exponent = 0;

  const integerStart = position;
  while (byte !== undefined && byte >= ZERO && byte <= NINE) {
    if (significant < 9) {
      high = high * 10 + (byte - ZERO);
      if (high !== 0) significant++;
    } else {
      low = low * 10 + (byte - ZERO);
      lowDigits++;
      significant++;
    }
    byte = bytes[++position];
  }
  const integerDigits = position - integerStart;
  if (integerDigits === 0 || (integerDigits > 1 && bytes[integerStart] === ZERO)) return NaN;

  if (byte === POINT) {
    byte = bytes[++position];
    const fractionStart = position;
    while (byte !== undefined && byte >= ZERO && byte <= NINE) {
      if (significant < 9) {
        high = high * 10 + (byte - ZERO);
        if (high !== 0) significant++;
      } else {
        low = low * 10 + (byte - ZERO);
        lowDigits++;
        significant++;
      }
      byte = bytes[++position];
    }
    exponent = fractionStart - position;
    if (exponent === 0) return NaN;
  }

  if (byte === LOWER_E || byte === UPPER_E) {
    byte = bytes[++position];
    const negativeExponent = byte === MINUS;
    if (negativeExponent || byte === PLUS) byte = bytes[++position];
    const exponentStart = position;
    let written = 0;
    while (byte !== undefined && byte >= ZERO && byte <= NINE) {
      written = written * 10 + (byte - ZERO);
      byte = bytes[++position];
    }
    if (position === exponentStart) return NaN;
    exponent += negativeExponent ? -written : written;
  }

  cursor.position = position;
  if (significant > 18) return NaN;
  if (significant === 0) return negative ? -0 : 0;
  if (exponent > 0 || exponent < -22) return NaN;

  // leading + trailing is the integer of all digits, exactly: the scaled high part has at most 51 significant bits.
  const scaledHigh = high * POWERS_OF_TEN[lowDigits]!;
  const leading = scaledHigh + low;
  const trailing = low - (leading - scaledHigh);
  let value = leading;
  if (exponent !== 0) {
    const divisor = POWERS_OF_TEN[-exponent]!;
    const quotient = leading / divisor;
    if (significant <= 15) {
      value = quotient;
    } else {
      const quotientSplit = quotient * SPLIT;
      const quotientHigh = quotientSplit - (quotientSplit - quotient);
      const quotientLow = quotient - quotientHigh;
      const divisorSplit = divisor * SPLIT;
      const divisorHigh = divisorSplit - (divisorSplit - divisor);
      const divisorLow = divisor - divisorHigh;
      const product = quotient * divisor;
      const productError =
        quotientLow * divisorLow -
        (product - quotientHigh * divisorHigh - quotientLow * divisorHigh - quotientHigh * divisorLow);
      const correction = (leading - product - productError + trailing) / divisor;
      value = quotient + correction * (1 - MARGIN);
      if (value !== quotient + correction * (1 + MARGIN)) return NaN;
    }
  } else if (trailing !== 0) {
    return NaN;
  }
  return negative ? -value : value;
}
