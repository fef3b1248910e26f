import type { CallContext } from './call-context.js';

/** One method as ts-proto generates it (`outputServices=grpc-js`). */
export interface RpcMethodDefinition {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (request: never) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => unknown;
  readonly responseSerialize: (response: never) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => unknown;
}

/** A service as ts-proto generates it, such as `CalibratorServiceService`. */
export type RpcServiceDefinition = Readonly<Record<string, RpcMethodDefinition>>;

/** The request of a method. */
export type RequestOf<M extends RpcMethodDefinition> = ReturnType<M['requestDeserialize']>;

/** The response of a method, or one of its responses. */
export type ResponseOf<M extends RpcMethodDefinition> = ReturnType<M['responseDeserialize']>;

/**
 * What a service does, one function a method: unary methods give a promise of the response, streaming ones an async
 * iterable of responses, best an async generator. Its next item is asked for only when the one before has been taken by
 * the network; when the call ends early, `context.signal` is aborted, and the generator is returned.
 *
 * A handler that throws InputError is answered INVALID_ARGUMENT; RpcError goes out as it is; anything else is answered
 * INTERNAL with a reference to the log, and nothing of it is shown.
 */
export type RpcHandlers<S extends RpcServiceDefinition> = {
  readonly [Name in keyof S]: S[Name]['responseStream'] extends true
    ? (request: RequestOf<S[Name]>, context: CallContext) => AsyncIterable<ResponseOf<S[Name]>>
    : (request: RequestOf<S[Name]>, context: CallContext) => Promise<ResponseOf<S[Name]>>;
};

/** A method with its handler, in bytes. */
export type RpcMethod = { readonly path: string } & (
  | { readonly kind: 'unary'; readonly call: (request: Buffer, context: CallContext) => Promise<Buffer> }
  | {
      readonly kind: 'stream';
      readonly call: (request: Buffer, context: CallContext) => AsyncIterator<Buffer, undefined>;
    }
);

/** A service with its handlers; see {@link implement}. */
export interface RpcService {
  /** Such as `infalign.v1.CalibratorService`. */
  readonly name: string;
  readonly methods: readonly RpcMethod[];
}

/** The full name of a service, such as `infalign.v1.CalibratorService`. */
export function serviceName(definition: RpcServiceDefinition): string {
  const [method] = Object.values(definition);
  const name = method?.path.split('/')[1];
  if (name === undefined) throw new TypeError('a service has at least one method');
  return name;
}
