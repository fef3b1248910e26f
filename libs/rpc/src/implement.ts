import type { CallContext } from './call-context.js';
import { RpcError } from './rpc-error.js';
import {
  serviceName,
  type RpcHandlers,
  type RpcMethod,
  type RpcMethodDefinition,
  type RpcService,
  type RpcServiceDefinition,
} from './service-definition.js';

/** A method whose types are forgotten: they held where the handlers were given. */
interface UntypedMethod {
  decode: (bytes: Buffer) => unknown;
  encode: (response: unknown) => Buffer;
  handle: (request: unknown, context: CallContext) => unknown;
}

/** Joins a generated service definition and its handlers, for {@link startRpcServer}. */
export function implement<S extends RpcServiceDefinition>(definition: S, handlers: RpcHandlers<S>): RpcService {
  const methods = Object.entries(definition).map(([name, method]) => {
    const handle = handlers[name] as UntypedMethod['handle'];
    return untyped(method, (request, context) => handle.call(handlers, request, context));
  });
  return { name: serviceName(definition), methods };
}

function untyped(definition: RpcMethodDefinition, handle: UntypedMethod['handle']): RpcMethod {
  const { path, requestStream, responseStream } = definition;
  if (requestStream) throw new TypeError(`${path}: methods that take a stream are not supported`);
  const method: UntypedMethod = {
    decode: definition.requestDeserialize,
    encode: definition.responseSerialize as (response: unknown) => Buffer,
    handle,
  };
  return responseStream
    ? { path, kind: 'stream', call: (bytes, context) => stream(method, bytes, context) }
    : { path, kind: 'unary', call: (bytes, context) => unary(method, bytes, context) };
}

async function unary(method: UntypedMethod, bytes: Buffer, context: CallContext): Promise<Buffer> {
  return method.encode(await method.handle(decoded(method, bytes, context), context));
}

/** Hands on both what is asked and the end, so that the end reaches a handler's iterator that is still waiting. */
function stream(method: UntypedMethod, bytes: Buffer, context: CallContext): AsyncIterator<Buffer, undefined> {
  const responses = method.handle(decoded(method, bytes, context), context) as AsyncIterable<unknown>;
  const iterator = responses[Symbol.asyncIterator]();
  return {
    next: async () => {
      const next = await iterator.next();
      return next.done === true ? { done: true, value: undefined } : { done: false, value: method.encode(next.value) };
    },
    return: async () => {
      await iterator.return?.();
      return { done: true, value: undefined };
    },
  };
}

function decoded(method: UntypedMethod, bytes: Buffer, context: CallContext): unknown {
  try {
    return method.decode(bytes);
  } catch (cause) {
    const problem = cause instanceof Error ? cause.message : String(cause);
    throw new RpcError(
      'INVALID_ARGUMENT',
      'MALFORMED_REQUEST',
      `${context.method}: the request is malformed: ${problem}`,
      {
        remedy: 'make it from the same version of the contracts',
        cause,
      },
    );
  }
}
