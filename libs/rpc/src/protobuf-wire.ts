/** One field of a protobuf message as it is on the wire: a varint, or a length with bytes. */
export interface WireField {
  number: number;
  value: bigint | Buffer;
}

/** A varint field; nothing where it is 0, as in proto3. */
export function varintField(number: number, value: number): Buffer {
  return value === 0 ? Buffer.alloc(0) : Buffer.concat([varint(BigInt(number << 3)), varint(BigInt(value))]);
}

/** A field of bytes, text or an embedded message; nothing where it is empty, as in proto3. */
export function bytesField(number: number, value: string | Uint8Array): Buffer {
  const bytes = Buffer.from(value);
  return bytes.length === 0 ? bytes : presentField(number, bytes);
}

/** An embedded message, also where it is empty. */
export function presentField(number: number, message: Uint8Array): Buffer {
  return Buffer.concat([varint(BigInt((number << 3) | 2)), varint(BigInt(message.length)), message]);
}

/**
 * The varint and length-delimited fields of a message, in order; fixed-width fields are passed over.
 *
 * @throws RangeError if the bytes are no message
 */
export function* wireFields(message: Buffer): Generator<WireField> {
  let position = 0;
  const take = (length: number): Buffer => {
    if (position + length > message.length) throw new RangeError('a protobuf message is cut off');
    position += length;
    return message.subarray(position - length, position);
  };
  const takeVarint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = BigInt(take(1).readUInt8());
      value |= (byte & 0x7fn) << shift;
      if (byte < 0x80n) return BigInt.asUintN(64, value);
    }
    throw new RangeError('a protobuf varint is too long');
  };
  while (position < message.length) {
    const tag = Number(takeVarint());
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        yield { number, value: takeVarint() };
        break;
      case 1:
        take(8);
        break;
      case 2:
        yield { number, value: take(Number(takeVarint())) };
        break;
      case 5:
        take(4);
        break;
      default:
        throw new RangeError(`a protobuf message has the unknown wire type ${tag & 7}`);
    }
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 0x80n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  return Buffer.from([...bytes, Number(rest)]);
}
