import type { OpenCall } from './call-context.js';
import { RpcError } from './rpc-error.js';

/** Suggested to callers that are turned away. */
const retryAfterMs = 200;

/** The calls that a server has in work, up to a limit: a call counts until its handler has ended. */
export interface RunningCalls {
  /**
   * Takes a call in.
   *
   * @throws RpcError RESOURCE_EXHAUSTED / OVERLOADED at the limit, UNAVAILABLE / SHUTTING_DOWN once refusing
   */
  enter(call: OpenCall): void;
  /** The call's handler has ended. */
  leave(call: OpenCall): void;
  /** From now on no call is taken in. */
  refuse(): void;
  /** Aborts all that run. */
  abort(): void;
  /** Resolves when none runs. */
  idle(): Promise<void>;
}

/** @param limit how many may run at once */
export function runningCalls(limit: number): RunningCalls {
  const calls = new Set<OpenCall>();
  let refusing = false;
  let waiting: (() => void)[] = [];
  const shuttingDown = (): RpcError =>
    new RpcError('UNAVAILABLE', 'SHUTTING_DOWN', 'the server is shutting down', {
      remedy: 'call again: another instance will answer',
      retryAfterMs,
    });
  return {
    enter(call) {
      if (refusing) throw shuttingDown();
      if (calls.size >= limit) {
        throw new RpcError('RESOURCE_EXHAUSTED', 'OVERLOADED', `all ${limit} places for running calls are taken`, {
          remedy: 'call again later, or run more instances',
          retryAfterMs,
        });
      }
      calls.add(call);
    },
    leave(call) {
      calls.delete(call);
      if (calls.size > 0) return;
      for (const resolve of waiting) resolve();
      waiting = [];
    },
    refuse() {
      refusing = true;
    },
    abort() {
      for (const call of calls) call.abort(shuttingDown());
    },
    idle() {
      return calls.size === 0 ? Promise.resolve() : new Promise((resolve) => waiting.push(resolve));
    },
  };
}
