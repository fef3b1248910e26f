import { TransactionFailed, WriterFenced } from '@infalign/rollout-stream';

const attempts = 10;

/**
 * Does what may be done twice: again, where it is not known whether its transaction took place, or another writer of the
 * name has come in between.
 *
 * @throws what the attempt throws; also the last of these, where ten attempts ended so
 */
export async function untilCommitted<T>(attempt: () => Promise<T>): Promise<T> {
  for (let left = attempts - 1; ; left--) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransactionFailed || error instanceof WriterFenced) || left === 0) throw error;
    }
  }
}
