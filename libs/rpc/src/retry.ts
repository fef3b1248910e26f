import { randomInt } from 'node:crypto';
import { RpcError } from './rpc-error.js';

/** How often and after what delays a call is made again. */
export interface RetryPolicy {
  /** Calls in all, the first one included; 1 is no retry. */
  attempts: number;
  /** Mean delay before the second attempt, in milliseconds. */
  initialDelayMs: number;
  /** Every further delay is this much longer; at least 1. */
  factor: number;
  /** No mean delay is longer. */
  maxDelayMs: number;
}

/** Five attempts within about three seconds. */
export const defaultRetryPolicy: RetryPolicy = { attempts: 5, initialDelayMs: 200, factor: 2, maxDelayMs: 5000 };

/** One attempt only: for calls that must not be made twice. */
export const noRetry: RetryPolicy = { ...defaultRetryPolicy, attempts: 1 };

/** Whether the same call can succeed a little later: the server is away, or too busy. */
export function isTransient({ code, reason }: RpcError): boolean {
  return code === 'UNAVAILABLE' || (code === 'RESOURCE_EXHAUSTED' && reason === 'OVERLOADED');
}

/**
 * Waits before the next attempt: half to one and a half of the policy's delay, at random, so that callers do not come
 * back together, and before it as long as the server asked for.
 *
 * @param attempt the one that failed, counted from 1
 * @param deadline in milliseconds since the epoch
 * @param signals any of them ends the wait
 * @throws the error, if there is no next attempt: it would not help, all have been made, or time would be over
 */
export async function backOff(
  policy: RetryPolicy,
  attempt: number,
  error: unknown,
  deadline: number,
  signals: readonly AbortSignal[],
): Promise<void> {
  if (!(error instanceof RpcError) || !isTransient(error) || attempt >= policy.attempts) throw error;
  const mean = Math.min(policy.initialDelayMs * policy.factor ** (attempt - 1), policy.maxDelayMs);
  const delay = (error.retryAfterMs ?? 0) + (mean * randomInt(500, 1501)) / 1000;
  if (Date.now() + delay >= deadline) throw error;
  if (!(await slept(delay, signals))) throw error;
}

/** Whether the time has passed without a signal being aborted. */
function slept(ms: number, signals: readonly AbortSignal[]): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (passed: boolean): void => {
      clearTimeout(timer);
      for (const signal of signals) signal.removeEventListener('abort', stop);
      resolve(passed);
    };
    const stop = (): void => end(false);
    const timer = setTimeout(() => end(true), ms);
    for (const signal of signals) signal.addEventListener('abort', stop);
    if (signals.some(({ aborted }) => aborted)) stop();
  });
}
