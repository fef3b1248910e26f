import { randomUUID } from 'node:crypto';
import { RpcError } from './rpc-error.js';

/** What a handler knows of the call besides the request. Given on to clients, outgoing calls end with this one. */
export interface CallContext {
  /** Such as `infalign.v1.CalibratorService/Calibrate`. */
  readonly method: string;
  /** Unique; in every log line of the call, and in the answer where it ends in an error that is not explained. */
  readonly callId: string;
  /** Whose token was given; `anonymous` where the server asks for none. */
  readonly caller: string;
  /** When the call must be over, in milliseconds since the epoch. */
  readonly deadline: number;
  /** Aborted, with an RpcError as its reason, when the client cancels, the deadline passes, or the server is ended. */
  readonly signal: AbortSignal;
  /** The W3C trace context that outgoing calls belong to: of this call's span, or, where it is not kept, as the client sent it. */
  readonly traceparent: string | undefined;
}

/** What a call is made from. */
export interface CallOrigin {
  method: string;
  caller: string;
  /** Milliseconds since the epoch; Infinity where the client gave none. */
  clientDeadline: number;
  /** Milliseconds that hold where the client gave none. */
  defaultDeadlineMs: number;
  traceparent: string | undefined;
}

/** A call under way, and how to end it. */
export interface OpenCall {
  context: CallContext;
  /** Aborts the signal, the first time. */
  abort(reason: RpcError): void;
  /** Aborts it because the client is gone: at its deadline, or before. */
  cancel(): void;
  /** To be called at the end: the deadline no longer matters. */
  close(): void;
}

/** Longer timers fire at once. */
const maxTimerMs = 2 ** 31 - 1;

/** Opens a call, with a timer for its deadline. */
export function openCall(origin: CallOrigin): OpenCall {
  const { method, caller, clientDeadline, defaultDeadlineMs, traceparent } = origin;
  const now = Date.now();
  const deadline = Number.isFinite(clientDeadline) ? clientDeadline : now + defaultDeadlineMs;
  const controller = new AbortController();
  const abort = (reason: RpcError): void => controller.abort(reason);
  const timer = setTimeout(() => abort(deadlineExceeded(method)), Math.min(Math.max(deadline - now, 0), maxTimerMs));
  return {
    context: { method, callId: randomUUID(), caller, deadline, signal: controller.signal, traceparent },
    abort,
    cancel: () =>
      abort(
        Date.now() >= deadline
          ? deadlineExceeded(method)
          : new RpcError('CANCELLED', 'CANCELLED', `${method}: cancelled`),
      ),
    close: () => clearTimeout(timer),
  };
}

function deadlineExceeded(method: string): RpcError {
  return new RpcError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', `${method}: the deadline has passed`, {
    remedy: 'ask for less, or allow more time',
  });
}

/**
 * The promise's outcome, unless the signal is aborted before: then its reason is thrown. The promise is not left
 * unhandled.
 */
export function untilAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason as Error);
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort));
    if (signal.aborted) onAbort();
    else signal.addEventListener('abort', onAbort, { once: true });
  });
}
