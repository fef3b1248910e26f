import {
  status,
  type Metadata,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
} from '@grpc/grpc-js';
import { InputError } from '@infalign/core';
import { withinSpan, type Logger, type Telemetry } from '@infalign/telemetry';
import { callerOf } from './authorisation.js';
import { openCall, untilAborted, type CallContext, type OpenCall } from './call-context.js';
import { messageTooLargeRemedy, statusFromError } from './error-status.js';
import { RpcError } from './rpc-error.js';
import type { RunningCalls } from './running-calls.js';
import type { RpcMethod } from './service-definition.js';

/** What the calls of one server have in common. */
export interface CallPolicy {
  logger: Logger;
  telemetry: Telemetry;
  running: RunningCalls;
  maxMessageBytes: number;
  /** Deadlines where the client gives none, in milliseconds. */
  defaultDeadlineMs: { unary: number; stream: number };
}

type Method<Kind extends RpcMethod['kind']> = Extract<RpcMethod, { kind: Kind }>;

/** How calls of one kind are answered. */
interface Answering {
  /** Runs the handler and sends what it gives. `work` is told of what may go on when the answer has been given. */
  answer(context: CallContext, work: (promise: Promise<unknown>) => void): Promise<void>;
  /** Sends an error instead. */
  fail(error: RpcError): void;
}

/** A unary method for gRPC. The answer is given when the handler is done or the call is over, whichever is first. */
export function serveUnary(
  method: Method<'unary'>,
  policy: CallPolicy,
): (call: ServerUnaryCall<Buffer, Buffer>, respond: sendUnaryData<Buffer>) => void {
  return (call, respond) => {
    void serve(method, call, policy, {
      async answer(context, work) {
        const response = method.call(call.request, context);
        work(response);
        const bytes = await untilAborted(response, context.signal);
        checkSize(bytes, context, policy);
        respond(null, bytes);
      },
      fail: (error) => respond(statusFromError(error)),
    });
  };
}

/** A server-streaming method for gRPC. The handler's next item is asked for when the one before has left. */
export function serveStream(
  method: Method<'stream'>,
  policy: CallPolicy,
): (call: ServerWritableStream<Buffer, Buffer>) => void {
  return (call) => {
    void serve(method, call, policy, {
      async answer(context, work) {
        const responses = method.call(call.request, context);
        let ended = false;
        try {
          for (;;) {
            const next = await untilAborted(responses.next(), context.signal);
            if (next.done === true) break;
            checkSize(next.value, context, policy);
            await untilAborted(written(call, next.value), context.signal);
          }
          ended = true;
        } finally {
          if (!ended && responses.return) work(responses.return());
        }
        call.end();
      },
      fail: (error) => call.emit('error', statusFromError(error)),
    });
  };
}

/** Resolves when HTTP/2's flow control has let the message go: a client that reads nothing is sent nothing more. */
function written(call: ServerWritableStream<Buffer, Buffer>, message: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    call.write(message, (error?: Error | null) => (error ? reject(error) : resolve()));
  });
}

interface ServerCall {
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getPeer(): string;
  getDeadline(): Date | number;
  on(event: 'cancelled', listener: () => void): unknown;
}

/** One call from its arrival to the end of its handler. Never rejects. */
async function serve(method: RpcMethod, call: ServerCall, policy: CallPolicy, answering: Answering): Promise<void> {
  const start = performance.now();
  const { running, defaultDeadlineMs, telemetry } = policy;
  const name = method.path.slice(1);
  const sent = call.metadata.get('traceparent')[0]?.toString();
  const attributes = { 'rpc.system.name': 'grpc', 'rpc.method': name };
  const span = telemetry.startSpan(name, { kind: 'server', parent: sent, attributes });
  const open = openCall({
    method: name,
    caller: callerOf(call.metadata),
    clientDeadline: Number(call.getDeadline()),
    defaultDeadlineMs: defaultDeadlineMs[method.kind],
    traceparent: span?.traceparent ?? sent,
  });
  const { context } = open;
  const work: Promise<unknown>[] = [];
  await withinSpan(span, async () => {
    let outcome: RpcError | undefined;
    try {
      running.enter(open);
      call.on('cancelled', () => open.cancel());
      await answering.answer(context, (promise) => work.push(promise));
    } catch (thrown) {
      outcome = rpcError(thrown, context, policy.logger);
      if (!call.cancelled) answering.fail(outcome);
    }
    const ms = performance.now() - start;
    const code = outcome?.code ?? status[status.OK];
    logCall(context, code, outcome, { ms: Math.round(ms), peer: call.getPeer() }, policy.logger);
    const described = { 'rpc.method': name, 'rpc.response.status_code': code };
    telemetry.record('rpc.server.call.duration', ms / 1000, described);
    span?.set({ ...described, 'infalign.call.id': context.callId });
    if (outcome) span?.fail(outcome.reason);
    span?.end();
  });
  await workEnded(work, open, policy);
}

async function workEnded(work: Promise<unknown>[], open: OpenCall, { running, logger }: CallPolicy): Promise<void> {
  const { method, callId, signal } = open.context;
  for (const result of await Promise.allSettled(work)) {
    // Before an abort, the error has been the answer.
    if (result.status === 'rejected' && signal.aborted) {
      logger.debug({ method, callId, err: result.reason as unknown }, 'handler failed after its call was over');
    }
  }
  open.close();
  running.leave(open);
}

function checkSize(message: Buffer, { method }: CallContext, { maxMessageBytes }: CallPolicy): void {
  if (message.length <= maxMessageBytes) return;
  throw new RpcError(
    'RESOURCE_EXHAUSTED',
    'MESSAGE_TOO_LARGE',
    `${method}: a response of ${message.length} bytes is larger than the ${maxMessageBytes} allowed`,
    { remedy: messageTooLargeRemedy },
  );
}

/** What a handler threw, as the error that the client is shown. Here, and nowhere else, unknown errors are converted. */
function rpcError(thrown: unknown, { method, callId, signal }: CallContext, logger: Logger): RpcError {
  if (thrown instanceof RpcError) return thrown;
  // Whatever an aborted handler throws follows from the abort.
  if (signal.aborted && signal.reason instanceof RpcError) return signal.reason;
  if (thrown instanceof InputError) return new RpcError('INVALID_ARGUMENT', 'INVALID_INPUT', thrown.message);
  logger.error({ method, callId, err: thrown }, 'handler failed');
  return new RpcError('INTERNAL', 'INTERNAL', `${method}: internal error, call ${callId}`, {
    remedy: 'look up the call in the log of the service',
    metadata: { callId },
    cause: thrown,
  });
}

function logCall(
  { method, callId, caller }: CallContext,
  code: string,
  error: RpcError | undefined,
  fields: { ms: number; peer: string },
  logger: Logger,
): void {
  const why = error && { reason: error.reason, problem: error.problem };
  logger.info({ method, callId, caller, code, ...why, ...fields }, 'call');
}
