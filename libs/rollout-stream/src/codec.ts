import { InputError } from '@infalign/core';
import type { Codec } from './topic.js';

/** What ts-proto generates for a message, as far as it is used here. */
interface MessageType<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/**
 * A codec for a protobuf message that refuses, in both directions, records that are well-formed protobuf and still mean
 * nothing: a missing part, a NaN reward, log-probabilities that do not match the tokens. Nothing downstream has to ask.
 *
 * @param check throws an InputError naming the field
 */
export function protobufCodec<T>(type: MessageType<T>, check: (message: T) => void): Codec<T> {
  return {
    encode(message) {
      check(message);
      return type.encode(message).finish();
    },
    decode(bytes) {
      const message = decodeMessage(type, bytes);
      check(message);
      return message;
    },
  };
}

function decodeMessage<T>(type: MessageType<T>, bytes: Uint8Array): T {
  try {
    return type.decode(bytes);
  } catch (error) {
    throw new InputError(
      `not a protobuf message of the expected type: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}
