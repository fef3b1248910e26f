// Messages that are well formed, and say what makes no sense.
import { pick } from './mutations.mjs';

const wholeNumbers = [0, 1, 2, 3, 257, 300, 4097, 65_536, 1e6, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1, 2 ** 53 - 1];
const fractions = [0, -0, 0.5, 1, -1, 1e-300, 5e-324, 1e300, 1.7e308, -1.7e308, NaN, Infinity, -Infinity];
const texts = [
  '',
  'unknown',
  '../../etc/passwd',
  '/etc/passwd',
  'a/../../b',
  '__proto__',
  '\0',
  'ü𝔛\u202e',
  '%s%n',
  'bon:4',
];
const transformations = [
  'bon:1000000',
  'exp:1e308',
  'exp:NaN',
  'won:0',
  'kth:9/4',
  'mix:bon:1@0.5+bon:4@0.5',
  'optimal',
];

/**
 * A message with one to three of its values replaced by absurd ones.
 *
 * @param {import('@infalign/core').RandomSource} random
 * @param {readonly Buffer[]} seeds valid messages of the type
 * @param {{ decode: (bytes: Buffer) => object, encode: (message: object) => Uint8Array }} type
 * @returns {Buffer}
 */
export function absurd(random, seeds, { decode, encode }) {
  for (let attempt = 0; attempt < 8; attempt++) {
    const message = decode(pick(random, seeds));
    for (let count = 1 + random.integer(3); count > 0; count--) {
      const places = placesOf(message);
      if (places.length > 0) change(random, pick(random, places));
    }
    try {
      return Buffer.from(encode(message));
    } catch {
      // A number that its field cannot hold: another one.
    }
  }
  return pick(random, seeds);
}

/** Where values stand in a message: those of lists together, but for their messages. */
function placesOf(message) {
  return Object.entries(message).flatMap(([name, value]) => {
    if (value === undefined) return [];
    if (Array.isArray(value) && typeof value[0] === 'object') {
      return [{ message, name }, ...value.slice(0, 4).flatMap(placesOf)];
    }
    if (typeof value === 'object' && !Array.isArray(value) && !ArrayBuffer.isView(value)) {
      return [{ message, name }, ...placesOf(value)];
    }
    return [{ message, name }];
  });
}

function change(random, { message, name }) {
  const value = message[name];
  if (typeof value === 'boolean') message[name] = !value;
  else if (typeof value === 'number') message[name] = oddNumber(random, value);
  else if (typeof value === 'string') message[name] = oddText(random);
  else if (ArrayBuffer.isView(value)) message[name] = Buffer.alloc(random.integer(100_000));
  else if (Array.isArray(value)) message[name] = oddList(random, value);
  // Messages that are always there, but for once.
  else if (random.integer(3) === 0) message[name] = undefined;
}

function oddNumber(random, value) {
  if (!Number.isInteger(value) || random.integer(3) === 0) return pick(random, fractions);
  return pick(random, wholeNumbers);
}

function oddText(random) {
  return pick(random, [
    () => pick(random, texts),
    () => pick(random, texts),
    () => pick(random, transformations),
    () => `unknown-${random.integer(1e6)}`,
    () => 'x'.repeat(pick(random, [100, 5000, 100_000])),
  ])();
}

function oddList(random, values) {
  const [first] = values;
  const long = pick(random, [23, 24, 25, 1000, 20_000]);
  return pick(random, [
    () => [],
    () => values.slice(1),
    () => [...values, ...values],
    () =>
      Array.from(
        { length: typeof first === 'object' ? Math.min(long, 64) : long },
        (_, at) => values[at % values.length],
      ),
    () => (typeof first === 'number' ? values.map(() => oddNumber(random, first)) : values),
    () => (typeof first === 'number' ? [...values.slice(1), oddNumber(random, first)] : values),
  ])();
}
