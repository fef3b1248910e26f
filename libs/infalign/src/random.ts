/** A deterministic stream of random numbers. */
export interface RandomSource {
  /** Uniform on [0, 1), a multiple of 2⁻⁵³. */
  uniform(): number;
  /** Uniform on the integers 0 … exclusiveMax − 1, without modulo bias; exclusiveMax is an integer from 1 to 2⁵³. */
  integer(exclusiveMax: number): number;
  /** Standard normal. */
  normal(): number;
}

/**
 * The random stream that belongs to a list of parts, for example `seededRandom(runSeed, promptId, policyVersion, sampleIndex)`.
 *
 * Equal parts give equal streams on every machine; parts that differ in value, order, number, type (1 and '1') or in where one
 * string ends and the next begins give unrelated streams. The parts are hashed to 128 bits, the state of a xoshiro128**
 * generator (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), whose period is 2¹²⁸ − 1.
 *
 * @param parts any number of strings and finite numbers
 * @throws RangeError if a number is not finite
 */
export function seededRandom(...parts: (string | number)[]): RandomSource {
  const next32 = seededWords(...parts);
  let spareNormal: number | undefined;

  function next53(): number {
    const high = next32() >>> 5;
    return high * 0x4000000 + (next32() >>> 6);
  }

  return {
    uniform: () => next53() / TWO_TO_53,
    integer(exclusiveMax) {
      if (!(Number.isInteger(exclusiveMax) && exclusiveMax >= 1 && exclusiveMax <= TWO_TO_53)) {
        throw new RangeError(`exclusiveMax must be an integer from 1 to 2^53, not ${exclusiveMax}`);
      }
      const range = exclusiveMax <= TWO_TO_32 ? TWO_TO_32 : TWO_TO_53;
      const next = range === TWO_TO_32 ? next32 : next53;
      // Values from the last, incomplete run of exclusiveMax are drawn again: they would favour the small results.
      const acceptedBelow = range - (range % exclusiveMax);
      let value = next();
      while (value >= acceptedBelow) value = next();
      return value % exclusiveMax;
    },
    normal() {
      if (spareNormal !== undefined) {
        const normal = spareNormal;
        spareNormal = undefined;
        return normal;
      }
      // Marsaglia's polar method: two normals from a uniform point in the unit disc.
      for (;;) {
        const x = 2 * (next53() / TWO_TO_53) - 1;
        const y = 2 * (next53() / TWO_TO_53) - 1;
        const squaredRadius = x * x + y * y;
        if (squaredRadius > 0 && squaredRadius < 1) {
          const scale = Math.sqrt((-2 * Math.log(squaredRadius)) / squaredRadius);
          spareNormal = y * scale;
          return x * scale;
        }
      }
    },
  };
}

/** The items in a random order (Fisher–Yates): each order as likely as any other. */
export function shuffled<Item>(items: readonly Item[], random: RandomSource): Item[] {
  const result = [...items];
  for (let last = result.length - 1; last > 0; last--) {
    const other = random.integer(last + 1);
    [result[last], result[other]] = [result[other] as Item, result[last] as Item];
  }
  return result;
}

/** The words (uniform on 0 … 2³² − 1) that seededRandom draws from, for loops in which its methods cost too much. */
export function seededWords(...parts: (string | number)[]): () => number {
  let [s0, s1, s2, s3] = hashParts(parts);
  return () => {
    const times5 = Math.imul(s1, 5);
    const word = Math.imul((times5 << 7) | (times5 >>> 25), 9) >>> 0;
    const shifted = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    s3 = (s3 << 11) | (s3 >>> 21);
    return word;
  };
}

const TWO_TO_32 = 2 ** 32;
const TWO_TO_53 = 2 ** 53;
const NUMBER_TAG = 0x6e756d62;
const STRING_TAG = 0x73747269;

/** 128 bits, never all zero, from parts encoded so that no two lists of parts have the same encoding. */
function hashParts(parts: readonly (string | number)[]): [number, number, number, number] {
  let a = 0x243f6a88;
  let b = 0x85a308d3;
  let c = 0x13198a2e;
  let d = 0x03707344;
  let words = 0;

  // Each word enters one lane through a bijection, and each lane reaches the next: distinct words never collide at once.
  function absorb(word: number): void {
    const mixed = Math.imul(rotateLeft(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
    const lane = rotateLeft(a ^ mixed, 13);
    a = b;
    b = c;
    c = d;
    d = (Math.imul(lane, 5) + a + 0xe6546b64) | 0;
    words++;
  }

  const float = new Float64Array(1);
  const floatWords = new Uint32Array(float.buffer);
  absorb(parts.length);
  for (const part of parts) {
    if (typeof part === 'number') {
      if (!Number.isFinite(part)) throw new RangeError(`a part of a seed must be finite, not ${part}`);
      float[0] = part + 0; // −0 and 0 are the same seed
      absorb(NUMBER_TAG);
      absorb(floatWords[0] as number);
      absorb(floatWords[1] as number);
    } else {
      absorb(STRING_TAG);
      absorb(part.length);
      for (let i = 0; i < part.length; i++) absorb(part.charCodeAt(i));
    }
  }
  absorb(words);
  // Two more turns of the four lanes carry the last word into every lane.
  for (let i = 0; i < 8; i++) absorb(i);

  a = avalanche(a + d);
  b = avalanche(b + a);
  c = avalanche(c + b);
  d = avalanche(d + c);
  return (a | b | c | d) === 0 ? [1, 0, 0, 0] : [a, b, c, d];
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/** The finaliser of MurmurHash3 (Appleby): every input bit flips every output bit with probability near ½. */
function avalanche(word: number): number {
  let h = word;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
