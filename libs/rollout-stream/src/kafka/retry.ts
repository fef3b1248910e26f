import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { StreamClosed } from './broker-errors.js';

/** When to try again. */
export interface RetryOptions {
  /** Whether trying again after the error makes sense. */
  readonly while: (error: unknown) => boolean;
  /** Ends it, where the stream is closed. */
  readonly signal: AbortSignal;
  /** Told of the error where it lasts for more than a second; and, with nothing, when that is over. */
  readonly onTrouble?: (error: unknown) => void;
  /** How long to go on, in milliseconds. Default: for ever. */
  readonly timeoutMs?: number;
  /** The longest pause, in milliseconds. */
  readonly longestPauseMs?: number;
}

/**
 * Tries until it succeeds, with pauses that grow from 3 ms.
 *
 * @throws the last error, where it is none to try again after, or the time is over; StreamClosed, if the signal was given
 */
export async function retrying<T>(attempt: () => Promise<T>, options: RetryOptions): Promise<T> {
  const { signal, onTrouble, timeoutMs = Infinity, longestPauseMs = 200 } = options;
  const start = performance.now();
  let pause = 3;
  let told = false;
  try {
    for (;;) {
      if (signal.aborted) throw new StreamClosed('The stream has been closed.');
      try {
        return await attempt();
      } catch (error) {
        const elapsed = performance.now() - start;
        if (!options.while(error) || elapsed > timeoutMs) throw error;
        // What breaks because it is being closed is no trouble.
        if (!told && elapsed > 1000 && !signal.aborted) {
          told = true;
          onTrouble?.(error);
        }
      }
      // Those who wait for the same broker do not come back all at once.
      await sleep((pause * randomInt(800, 1200)) / 1000);
      pause = Math.min(pause * 1.5, longestPauseMs);
    }
  } finally {
    if (told) onTrouble?.(undefined);
  }
}
