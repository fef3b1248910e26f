import { setTimeout as sleep } from 'node:timers/promises';
import {
  Server,
  ServerCredentials,
  setLogger,
  type ServiceDefinition,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { InputError } from '@infalign/core';
import { silentLogger, silentTelemetry, type Logger, type Telemetry } from '@infalign/telemetry';
import { authorisationInterceptor, type Authorisation } from './authorisation.js';
import { runningCalls } from './running-calls.js';
import { serveStream, serveUnary, type CallPolicy } from './serve-call.js';
import type { RpcMethod, RpcService } from './service-definition.js';
import { standardServices } from './standard-services.js';
import { serverCredentials, type Plaintext, type ServerTls } from './transport-security.js';

/** What a server takes on; what is not given has the default of {@link defaultLimits}. */
export interface RpcServerLimits {
  /** Largest request and response. */
  maxMessageBytes: number;
  /** Calls in work at once; more are answered RESOURCE_EXHAUSTED with reason OVERLOADED. Health does not count. */
  maxRunningCalls: number;
  /** Calls open at once on one connection, whatever they wait for; more wait in the client. */
  maxCallsPerConnection: number;
  /** Deadlines of calls whose client gave none, in milliseconds. */
  defaultDeadlineMs: { unary: number; stream: number };
  /** A connection without traffic is asked for a sign of life after so long, and dropped without one. */
  keepaliveMs: number;
  keepaliveTimeoutMs: number;
  /** Connections are renewed after so long, so that clients find new instances; Infinity: never. */
  maxConnectionAgeMs: number;
}

/** What holds where nothing is given. */
export const defaultLimits: RpcServerLimits = {
  maxMessageBytes: 16 * 2 ** 20,
  maxRunningCalls: 64,
  maxCallsPerConnection: 256,
  defaultDeadlineMs: { unary: 10 * 60_000, stream: 24 * 3_600_000 },
  keepaliveMs: 30_000,
  keepaliveTimeoutMs: 20_000,
  maxConnectionAgeMs: Infinity,
};

/** What to serve, where, and to whom. */
export interface RpcServerOptions {
  /** Each made by {@link implement}; at least one. */
  services: readonly RpcService[];
  /** An address of this machine; default 127.0.0.1. */
  host?: string;
  /** 0 takes a free one. */
  port: number;
  /**
   * A second port of the same host, which answers health and nothing else, unencrypted and to anyone: for probes that speak
   * no TLS and have no certificate, as those of Kubernetes. 0 takes a free one. None without it.
   */
  healthPort?: number;
  /** Without it, calls are not encrypted. */
  tls?: ServerTls;
  /** Off loopback without TLS: refused, unless this is `allow-off-loopback`. */
  plaintext?: Plaintext;
  /** Without it, whoever reaches the port may call everything. */
  authorisation?: Authorisation;
  limits?: Partial<RpcServerLimits>;
  /** Whether health says SERVING from the start; default true. */
  serving?: boolean;
  /** Gets one line a call, and every error that is not explained to the client. */
  logger?: Logger;
  /** Gets a span and a duration for each call. */
  telemetry?: Telemetry;
}

/** A server that runs. */
export interface RpcServer {
  /** Where clients on this machine reach it, as `host:port`. */
  readonly address: string;
  readonly port: number;
  /** Where there is a port for health alone. */
  readonly healthPort?: number;
  /** What health says of a service from now on. */
  setServing(service: string, serving: boolean): void;
  /**
   * Ends the server: health says NOT_SERVING, no call is taken any more, those under way have `graceMs` to end, and then
   * are aborted with UNAVAILABLE. Resolves when no connection is left. Further calls give the same promise.
   */
  drain(graceMs: number): Promise<void>;
}

/** What the port of health alone takes on: whoever can reach it may call it. */
const healthLimits: RpcServerLimits = { ...defaultLimits, maxMessageBytes: 4096, maxCallsPerConnection: 16 };

/** After an abort, answers have so long to be sent. */
const lastWordsMs = 500;

/**
 * Starts a gRPC server with the given services, standard health and reflection.
 *
 * ```ts
 * const server = await startRpcServer({
 *   services: [implement(EvaluatorServiceService, { evaluate, streamFrontier })],
 *   port: 50051,
 *   logger,
 * });
 * process.once('SIGTERM', () => void server.drain(30_000));
 * ```
 *
 * @throws InputError if the address is taken, a file cannot be used, or calls would go unencrypted over a network
 */
export async function startRpcServer(options: RpcServerOptions): Promise<RpcServer> {
  const { services, host = '127.0.0.1', port, plaintext = 'loopback-only', logger = silentLogger } = options;
  const { telemetry = silentTelemetry } = options;
  const limits: RpcServerLimits = { ...defaultLimits, ...options.limits };
  setLogger(grpcLog(logger));
  const credentials = serverCredentials(host, options.tls, plaintext);
  const running = runningCalls(limits.maxRunningCalls);
  const standard = standardServices(
    services.map(({ name }) => name),
    options.serving ?? true,
  );

  const server = new Server({
    ...channelOptions(limits),
    interceptors: [authorisationInterceptor(options.authorisation, logger)],
  });
  const policy: CallPolicy = { logger, telemetry, running, ...limits };
  for (const service of services) {
    server.addService(definitionInBytes(service), implementation(service, policy));
  }
  standard.addTo(server);
  const boundPort = await bind(server, host, port, credentials);
  const health = options.healthPort === undefined ? undefined : new Server(channelOptions(healthLimits));
  let healthPort: number | undefined;
  if (health) {
    standard.addHealthTo(health);
    try {
      healthPort = await bind(health, host, options.healthPort!, ServerCredentials.createInsecure());
    } catch (error) {
      server.forceShutdown();
      throw error;
    }
  }
  logger.info(
    { host, port: boundPort, ...(health && { healthPort }), services: services.map(({ name }) => name) },
    'listening',
  );

  let drained: Promise<void> | undefined;
  async function drain(graceMs: number): Promise<void> {
    logger.info({ graceMs }, 'draining');
    running.refuse();
    standard.end();
    const closed = new Promise<void>((resolve) => server.tryShutdown(() => resolve()));
    const ended = Promise.all([closed, running.idle()]);
    if (!(await within(graceMs, ended))) {
      logger.warn({}, 'grace is over, aborting the calls that run');
      running.abort();
      await within(lastWordsMs, ended);
    }
    server.forceShutdown();
    if (health) {
      // Until here, probes are told what is going on.
      await within(lastWordsMs, new Promise<void>((resolve) => health.tryShutdown(() => resolve())));
      health.forceShutdown();
    }
    logger.info({}, 'drained');
  }
  return {
    address: hostAndPort(host, boundPort),
    port: boundPort,
    ...(healthPort !== undefined && { healthPort }),
    setServing: (service, serving) => standard.setServing(service, serving),
    drain: (graceMs) => (drained ??= drain(graceMs)),
  };
}

/** What gRPC itself has to say, which it writes to standard error otherwise. */
function grpcLog(logger: Logger): Partial<Console> {
  return {
    error: (message: unknown) => logger.warn({ problem: String(message) }, 'grpc'),
    info: (message: unknown) => logger.debug({ problem: String(message) }, 'grpc'),
    debug: (message: unknown) => logger.debug({ problem: String(message) }, 'grpc'),
  };
}

function channelOptions(limits: RpcServerLimits): Record<string, number> {
  return {
    'grpc.max_receive_message_length': limits.maxMessageBytes,
    // Sizes of responses are checked before they get there, with a better message.
    'grpc.max_send_message_length': -1,
    'grpc.max_concurrent_streams': limits.maxCallsPerConnection,
    'grpc.keepalive_time_ms': limits.keepaliveMs,
    'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
    ...(Number.isFinite(limits.maxConnectionAgeMs) && { 'grpc.max_connection_age_ms': limits.maxConnectionAgeMs }),
    // Its bookkeeping of every connection and call is read by nobody here.
    'grpc.enable_channelz': 0,
  };
}

/** Messages are decoded and encoded by the handler's side, which turns failures into errors that say what is wrong. */
function definitionInBytes({ methods }: RpcService): ServiceDefinition {
  const bytes = (value: Buffer): Buffer => value;
  return Object.fromEntries(
    methods.map(({ path, kind }) => [
      path,
      {
        path,
        requestStream: false,
        responseStream: kind === 'stream',
        requestSerialize: bytes,
        requestDeserialize: bytes,
        responseSerialize: bytes,
        responseDeserialize: bytes,
      },
    ]),
  );
}

function implementation({ methods }: RpcService, policy: CallPolicy): UntypedServiceImplementation {
  const serve = (method: RpcMethod) =>
    method.kind === 'unary' ? serveUnary(method, policy) : serveStream(method, policy);
  return Object.fromEntries(methods.map((method) => [method.path, serve(method)]));
}

async function bind(server: Server, host: string, port: number, credentials: Parameters<Server['bindAsync']>[1]) {
  const address = hostAndPort(host, port);
  try {
    return await new Promise<number>((resolve, reject) => {
      server.bindAsync(address, credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
    });
  } catch (error) {
    server.forceShutdown();
    const problem = error instanceof Error ? error.message : String(error);
    throw new InputError(
      `${address}: cannot listen there (${problem}); choose a free port and an address of this machine`,
    );
  }
}

function hostAndPort(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Whether the promise resolves in time. */
async function within(ms: number, promise: Promise<unknown>): Promise<boolean> {
  const stop = new AbortController();
  const late = sleep(ms, false, { signal: stop.signal }).catch(() => false);
  try {
    return await Promise.race([promise.then(() => true), late]);
  } finally {
    stop.abort();
  }
}
