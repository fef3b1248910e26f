import { randomInt } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { TransactionFailed, WriterFenced } from '@infalign/rollout-stream';

const attempts = 10;

/** The longest pause after the first attempt; after each further one it is twice as long. */
const firstPauseMs = 10;

/**
 * Does what may be done twice: again, where it is not known whether its transaction took place, or another writer of the
 * name has come in between. The pauses are random and grow: those who fence each other off do not come back together.
 *
 * @throws what the attempt throws; also the last of these, where ten attempts ended so
 */
export async function untilCommitted<T>(attempt: () => Promise<T>): Promise<T> {
  for (let done = 1; ; done++) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransactionFailed || error instanceof WriterFenced) || done === attempts) throw error;
      await sleep(randomInt(firstPauseMs * 2 ** (done - 1)));
    }
  }
}
