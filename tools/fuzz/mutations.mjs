// Bytes that nobody has promised anything about: random ones, and valid messages with something done to them.

/** @typedef {import('@infalign/core').RandomSource} RandomSource */

/** Doubles at the edges of what there is; little-endian, as in a message. */
const oddDoubles = [NaN, Infinity, -Infinity, -0, 0, 5e-324, -5e-324, 1e308, -1e308, 2 ** 53, -1, 1e-300].map(
  (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    return bytes;
  },
);

const oddVarints = [0n, 1n, 127n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 63n, 2n ** 64n - 1n];

/**
 * @param {RandomSource} random
 * @param {number} longest in bytes; short ones are the likeliest
 */
export function randomBytes(random, longest = 4096) {
  const length = Math.floor(longest ** random.uniform()) - random.integer(2);
  const bytes = Buffer.alloc(Math.max(0, length));
  for (let index = 0; index < bytes.length; index++) bytes[index] = random.integer(256);
  return bytes;
}

/**
 * A message with one to four things done to it.
 *
 * @param {RandomSource} random
 * @param {readonly Buffer[]} seeds valid messages of one type, at least one
 * @returns {Buffer}
 */
export function mutated(random, seeds) {
  let bytes = pick(random, seeds);
  const times = 1 + Math.min(random.integer(4), random.integer(4));
  for (let time = 0; time < times; time++) {
    bytes = random.integer(2) === 0 ? pick(random, blind)(random, bytes, seeds) : withField(random, bytes, 0);
  }
  return bytes;
}

/** @template T @param {RandomSource} random @param {readonly T[]} values @returns {T} */
export function pick(random, values) {
  return values[random.integer(values.length)];
}

/** A stretch of the bytes: where it begins and ends. */
function stretch(random, length) {
  const [a, b] = [random.integer(length + 1), random.integer(length + 1)];
  return a < b ? [a, b] : [b, a];
}

/** What can be done without knowing that the bytes are a message. */
const blind = [
  function flipBits(random, bytes) {
    if (bytes.length === 0) return bytes;
    const changed = Buffer.from(bytes);
    for (let count = 1 + random.integer(8); count > 0; count--) {
      changed[random.integer(changed.length)] ^= 1 << random.integer(8);
    }
    return changed;
  },
  (random, bytes) => bytes.subarray(0, random.integer(bytes.length + 1)),
  function duplicate(random, bytes) {
    const [start, end] = stretch(random, bytes.length);
    return Buffer.concat([bytes.subarray(0, end), bytes.subarray(start, end), bytes.subarray(end)]);
  },
  function remove(random, bytes) {
    const [start, end] = stretch(random, bytes.length);
    return Buffer.concat([bytes.subarray(0, start), bytes.subarray(end)]);
  },
  function overwrite(random, bytes) {
    const [start, end] = stretch(random, bytes.length);
    const changed = Buffer.from(bytes);
    for (let index = start; index < Math.min(end, start + 16); index++) changed[index] = random.integer(256);
    return changed;
  },
  function splice(random, bytes, seeds) {
    const other = pick(random, seeds);
    return Buffer.concat([
      bytes.subarray(0, random.integer(bytes.length + 1)),
      other.subarray(random.integer(other.length + 1)),
    ]);
  },
  (random, bytes, seeds) => Buffer.concat([bytes, pick(random, seeds)]),
  (random, bytes) => Buffer.concat([bytes, randomBytes(random, 64)]),
  /** Groups within groups: who skips them by recursion runs out of stack. */
  (random, bytes) => Buffer.concat([bytes, Buffer.alloc(1 + random.integer(20_000), tag(15, 3))]),
];

/** @returns {Buffer} the message with one of its fields changed, or one of a message within it */
function withField(random, bytes, depth) {
  const fields = fieldsOf(bytes);
  if (!fields || fields.length === 0) return pick(random, blind.slice(0, 5))(random, bytes, [bytes]);
  const index = random.integer(fields.length);
  const field = fields[index];
  const inner = field.type === 2 && depth < 3 && fieldsOf(field.content)?.length > 0;
  const changed =
    inner && random.integer(3) > 0
      ? encodeField({ ...field, content: withField(random, field.content, depth + 1) })
      : changedField(random, field);
  const parts = fields.map((each, at) => (at === index ? changed : encodeField(each)));
  if (random.integer(8) === 0) parts.splice(random.integer(parts.length + 1), 0, pick(random, parts));
  if (random.integer(8) === 0) parts.splice(random.integer(parts.length), 1);
  return Buffer.concat(parts);
}

function changedField(random, field) {
  const { number, type, content } = field;
  switch (random.integer(10)) {
    case 0:
      return encodeField({ ...field, number: pick(random, [0, 1, number + 1, 15, 16, 2047, 2 ** 29 - 1]) });
    case 1:
      return Buffer.concat([tag(number, random.integer(8)), content]);
    case 2:
      // More bytes than a varint has.
      return Buffer.concat([tag(number, 0), Buffer.alloc(1 + random.integer(20), 0xff), Buffer.from([1])]);
    case 3:
      // A length that the rest does not have.
      return Buffer.concat([tag(number, 2), varint(pick(random, oddVarints)), content]);
    case 4:
      return encodeField({ ...field, type: 1, content: pick(random, oddDoubles) });
    case 5:
      return encodeField({ ...field, type: 2, content: oddText(random) });
  }
  if (type === 0) return encodeField({ ...field, content: varint(pick(random, oddVarints)) });
  if (type === 1) return encodeField({ ...field, content: pick(random, oddDoubles) });
  if (type === 5) return encodeField({ ...field, content: pick(random, oddDoubles).subarray(4) });
  return encodeField({ ...field, content: pick(random, [oddText(random), Buffer.alloc(0), oddPacked(random)]) });
}

function oddText(random) {
  const lengths = [1, 10, 1000, 1000, 1000, 30_000, 30_000, 300_000];
  return pick(random, [
    () => Buffer.from('../../../etc/passwd'),
    () => Buffer.from([0xc0, 0x80, 0xff, 0xfe, 0xed, 0xa0, 0x80]),
    () => Buffer.from('\0\u202e𝔛'),
    () => Buffer.alloc(pick(random, lengths), 'x'),
    () => Buffer.from('__proto__'),
  ])();
}

/** Numbers one after another, as repeated fields are packed. */
function oddPacked(random) {
  const double = random.integer(2) === 0;
  const values = Array.from({ length: 1 + random.integer(50) }, () =>
    double ? pick(random, oddDoubles) : varint(pick(random, oddVarints)),
  );
  return Buffer.concat(values);
}

/** @returns the fields of a message, or undefined if it is none */
function fieldsOf(bytes) {
  const fields = [];
  for (let at = 0; at < bytes.length;) {
    const key = readVarint(bytes, at);
    if (!key) return undefined;
    const number = Number(key.value >> 3n);
    const type = Number(key.value & 7n);
    at = key.end;
    let end;
    let start = at;
    if (type === 0) end = readVarint(bytes, at)?.end;
    else if (type === 1) end = at + 8;
    else if (type === 5) end = at + 4;
    else if (type === 2) {
      const length = readVarint(bytes, at);
      if (!length || length.value > BigInt(bytes.length)) return undefined;
      start = length.end;
      end = start + Number(length.value);
    }
    if (number === 0 || end === undefined || end > bytes.length) return undefined;
    fields.push({ number, type, content: bytes.subarray(start, end) });
    at = end;
  }
  return fields;
}

function encodeField({ number, type, content }) {
  return type === 2
    ? Buffer.concat([tag(number, 2), varint(BigInt(content.length)), content])
    : Buffer.concat([tag(number, type), content]);
}

function tag(number, type) {
  return varint((BigInt(number) << 3n) | BigInt(type));
}

function varint(value) {
  const bytes = [];
  let rest = BigInt.asUintN(64, value);
  for (; rest >= 0x80n; rest >>= 7n) bytes.push(Number(rest & 0x7fn) | 0x80);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}

function readVarint(bytes, start) {
  let value = 0n;
  for (let index = 0; index < 10 && start + index < bytes.length; index++) {
    const byte = bytes[start + index];
    value |= BigInt(byte & 0x7f) << BigInt(7 * index);
    if (byte < 0x80) return { value, end: start + index + 1 };
  }
  return undefined;
}
