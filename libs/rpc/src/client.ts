import { Client, Metadata, type CallOptions, type ServiceError } from '@grpc/grpc-js';
import type { CallContext } from './call-context.js';
import { errorFromStatus, messageTooLargeRemedy } from './error-status.js';
import { backOff, defaultRetryPolicy, type RetryPolicy } from './retry.js';
import { RpcError } from './rpc-error.js';
import type { RequestOf, ResponseOf, RpcMethodDefinition, RpcServiceDefinition } from './service-definition.js';
import { readSecretToken } from './token-file.js';
import { clientCredentials, type ClientTls, type Plaintext } from './transport-security.js';

/** 24 days: more overflows in gRPC's server, so that the deadline would be over at once. */
const maxDeadlineMs = 24 * 86_400_000;

/** Whom to call, and how. */
export interface RpcClientOptions {
  /** `host:port`, or a name that gRPC resolves, such as `dns:///calibrator:50051`: calls go to all its addresses in turn. */
  address: string;
  /** Without it, calls are not encrypted. */
  tls?: ClientTls;
  /** The name that the server's certificate must have, where it is not that of the address. */
  serverName?: string;
  /** Off loopback without TLS: refused, unless this is `allow-off-loopback`. */
  plaintext?: Plaintext;
  /** Holds the token to call with; of mode 600. */
  tokenFile?: string;
  /** How long calls may take, attempts together, in milliseconds; default one minute. */
  deadlineMs?: number;
  /** Default {@link defaultRetryPolicy}. */
  retry?: RetryPolicy;
  /** Largest request and response; default 16 MiB. */
  maxMessageBytes?: number;
}

/** How to make one call. */
export interface RpcCallOptions {
  /** The call whose handler makes this one: this one ends no later than that, and with it. */
  context?: CallContext;
  /** Cancels the call. */
  signal?: AbortSignal;
  /** Instead of the client's, in milliseconds. */
  deadlineMs?: number;
  /** Instead of the client's; {@link noRetry} for what must not be done twice. */
  retry?: RetryPolicy;
}

/** A function a method; all throw RpcError. A stream's call is made when its iteration begins, and ends with it. */
export type RpcClient<S extends RpcServiceDefinition> = {
  readonly [Name in keyof S]: S[Name]['responseStream'] extends true
    ? (request: RequestOf<S[Name]>, options?: RpcCallOptions) => AsyncIterable<ResponseOf<S[Name]>>
    : (request: RequestOf<S[Name]>, options?: RpcCallOptions) => Promise<ResponseOf<S[Name]>>;
} & {
  /** Closes its connections. */
  close(): void;
};

/** A method whose types are forgotten: they hold where the client is given out. */
interface UntypedMethod {
  path: string;
  encode: (request: unknown) => Buffer;
  decode: (bytes: Buffer) => unknown;
}

/** What all calls of a client have in common. */
interface Channel {
  client: Client;
  address: string;
  token: string | undefined;
  deadlineMs: number;
  retry: RetryPolicy;
  maxMessageBytes: number;
}

/**
 * A client of one service.
 *
 * Calls that fail because the server is away or too busy are made again by the retry policy; a stream only until its
 * first item. A server that goes away may have begun a call: what must not be done twice is called with {@link noRetry}.
 *
 * ```ts
 * const calibrator = createRpcClient(CalibratorServiceService, { address: '127.0.0.1:50051', tokenFile: 'me.token' });
 * const { rollouts } = await calibrator.calibrate({ rollouts: scored, transformation: 'exp:10' }, { context });
 * ```
 *
 * @throws InputError if a file cannot be used, or calls would go unencrypted over a network
 */
export function createRpcClient<S extends RpcServiceDefinition>(
  definition: S,
  options: RpcClientOptions,
): RpcClient<S> {
  const { address, tls, serverName, plaintext = 'loopback-only', tokenFile } = options;
  const maxMessageBytes = options.maxMessageBytes ?? 16 * 2 ** 20;
  const credentials = clientCredentials(address, tls, plaintext);
  const token = tokenFile === undefined ? undefined : readSecretToken(tokenFile);
  const channel: Channel = {
    client: new Client(address, credentials, {
      'grpc.max_receive_message_length': maxMessageBytes,
      'grpc.service_config': JSON.stringify({ loadBalancingConfig: [{ round_robin: {} }] }),
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 20_000,
      'grpc.initial_reconnect_backoff_ms': 100,
      'grpc.max_reconnect_backoff_ms': 5000,
      // Retries are decided below, where the reason of an error is known.
      'grpc.enable_retries': 0,
      // Services are neighbours: no proxy of the environment stands between them.
      'grpc.enable_http_proxy': 0,
      'grpc.enable_channelz': 0,
      ...(serverName !== undefined && { 'grpc.ssl_target_name_override': serverName }),
    }),
    address,
    token,
    deadlineMs: options.deadlineMs ?? 60_000,
    retry: options.retry ?? defaultRetryPolicy,
    maxMessageBytes,
  };
  const methods = Object.entries(definition).map(([name, method]) => [name, clientMethod(channel, method)]);
  return { ...Object.fromEntries(methods), close: () => channel.client.close() } as RpcClient<S>;
}

function clientMethod(channel: Channel, definition: RpcMethodDefinition) {
  const { path, requestStream, responseStream } = definition;
  if (requestStream) throw new TypeError(`${path}: methods that take a stream are not supported`);
  const method: UntypedMethod = {
    path,
    encode: definition.requestSerialize as (request: unknown) => Buffer,
    decode: definition.responseDeserialize,
  };
  return responseStream
    ? (request: unknown, options: RpcCallOptions = {}) => callStream(channel, method, request, options)
    : (request: unknown, options: RpcCallOptions = {}) => callUnary(channel, method, request, options);
}

async function callUnary(channel: Channel, method: UntypedMethod, request: unknown, options: RpcCallOptions) {
  const call = outgoingCall(channel, method, request, options);
  for (let attempt = 1; ; attempt++) {
    try {
      return await unaryAttempt(call);
    } catch (error) {
      await backOff(call.retry, attempt, error, call.deadline, call.signals);
    }
  }
}

async function* callStream(channel: Channel, method: UntypedMethod, request: unknown, options: RpcCallOptions) {
  const call = outgoingCall(channel, method, request, options);
  for (let attempt = 1; ; attempt++) {
    let begun = false;
    try {
      for await (const response of streamAttempt(call)) {
        begun = true;
        yield response;
      }
      return;
    } catch (error) {
      if (begun) throw error;
      await backOff(call.retry, attempt, error, call.deadline, call.signals);
    }
  }
}

/** A call as all its attempts share it. */
interface OutgoingCall {
  channel: Channel;
  method: UntypedMethod;
  request: Buffer;
  /** Milliseconds since the epoch. */
  deadline: number;
  /** Any of them cancels the call. */
  signals: readonly AbortSignal[];
  traceparent: string | undefined;
  retry: RetryPolicy;
}

function outgoingCall(
  channel: Channel,
  method: UntypedMethod,
  message: unknown,
  options: RpcCallOptions,
): OutgoingCall {
  const { context, deadlineMs = channel.deadlineMs, retry = channel.retry } = options;
  const request = method.encode(message);
  if (request.length > channel.maxMessageBytes) {
    throw new RpcError(
      'RESOURCE_EXHAUSTED',
      'MESSAGE_TOO_LARGE',
      `${place(channel, method)}: a request of ${request.length} bytes is larger than the ${channel.maxMessageBytes} allowed`,
      { remedy: messageTooLargeRemedy },
    );
  }
  return {
    channel,
    method,
    request,
    deadline: Math.min(
      Date.now() + (Number.isFinite(deadlineMs) ? Math.min(deadlineMs, maxDeadlineMs) : deadlineMs),
      context?.deadline ?? Infinity,
    ),
    signals: [options.signal, context?.signal].filter((signal) => signal !== undefined),
    traceparent: context?.traceparent,
    retry,
  };
}

function unaryAttempt(call: OutgoingCall): Promise<unknown> {
  const { channel, method, request, signals } = call;
  return new Promise((resolve, reject) => {
    const reason = abortReason(signals);
    if (reason !== undefined) {
      reject(cancelled(call, reason));
      return;
    }
    const running = channel.client.makeUnaryRequest(
      method.path,
      sameBytes,
      method.decode,
      request,
      metadata(call),
      callOptions(call),
      (error, response) => {
        ignoreAborts();
        if (error) reject(failure(call, error));
        else resolve(response);
      },
    );
    const ignoreAborts = onAbort(signals, () => running.cancel());
  });
}

async function* streamAttempt(call: OutgoingCall): AsyncGenerator<unknown, void> {
  const { channel, method, request, signals } = call;
  const reason = abortReason(signals);
  if (reason !== undefined) throw cancelled(call, reason);
  const running = channel.client.makeServerStreamRequest(
    method.path,
    sameBytes,
    method.decode,
    request,
    metadata(call),
    callOptions(call),
  );
  // Errors come out of the iteration; one that comes while nobody iterates must not end the process.
  running.on('error', () => undefined);
  const ignoreAborts = onAbort(signals, () => running.cancel());
  try {
    for await (const response of running) yield response as unknown;
  } catch (error) {
    throw failure(call, error);
  } finally {
    ignoreAborts();
    running.cancel();
  }
}

function sameBytes(bytes: Buffer): Buffer {
  return bytes;
}

function callOptions({ deadline }: OutgoingCall): CallOptions {
  return { deadline };
}

function metadata({ channel: { token }, traceparent }: OutgoingCall): Metadata {
  const sent = new Metadata();
  if (token !== undefined) sent.set('authorization', `Bearer ${token}`);
  if (traceparent !== undefined) sent.set('traceparent', traceparent);
  return sent;
}

function failure(call: OutgoingCall, error: unknown): Error {
  const reason = abortReason(call.signals);
  if (reason !== undefined) return cancelled(call, reason);
  if (isServiceError(error)) return errorFromStatus(error, place(call.channel, call.method));
  return error instanceof Error ? error : new TypeError('what was thrown is no error', { cause: error });
}

/** A call that was cancelled here: for what its context says, else CANCELLED. */
function cancelled({ channel, method }: OutgoingCall, reason: unknown): RpcError {
  if (reason instanceof RpcError) return reason;
  return new RpcError('CANCELLED', 'CANCELLED', `${place(channel, method)}: cancelled`, { cause: reason });
}

/** Why the call is to end, if it is; a signal that was aborted always has a reason. */
function abortReason(signals: readonly AbortSignal[]): unknown {
  return signals.find(({ aborted }) => aborted)?.reason;
}

/** Calls back when a signal is aborted, until what it gives is called: signals may outlive calls. */
function onAbort(signals: readonly AbortSignal[], callback: () => void): () => void {
  for (const signal of signals) signal.addEventListener('abort', callback, { once: true });
  return () => {
    for (const signal of signals) signal.removeEventListener('abort', callback);
  };
}

function isServiceError(error: unknown): error is ServiceError {
  return error instanceof Error && 'code' in error && typeof error.code === 'number' && 'details' in error;
}

function place({ address }: Channel, { path }: UntypedMethod): string {
  return `${path.slice(1)} at ${address}`;
}
