import { isPoison, type RolloutStream, type Topic } from '@infalign/rollout-stream';

/** What a topic says of each key, as far as it has been read. */
export interface FollowedTopic<T> {
  /**
   * The latest record of a key. What was appended before this call is seen; what is just being committed is waited for.
   *
   * @returns nothing if there is none after that
   */
  get(key: string): Promise<T | undefined>;
  /** All of them, as of now. */
  all(): Promise<readonly T[]>;
  close(): Promise<void>;
}

/** Records read at a time. */
const recordsAtOnce = 1000;

/**
 * A transaction becomes visible in one partition before it does in another: who learns of a key from a record waits for
 * the record of the key this long.
 */
const patienceMs = 3_000;

/**
 * Follows a topic, keeping the latest record of every key in memory.
 *
 * @param key what to look records up by
 */
export async function followTopic<T>(
  stream: RolloutStream,
  topic: Topic<T>,
  key: (record: T) => string,
): Promise<FollowedTopic<T>> {
  const reader = await stream.follow(topic);
  const latest = new Map<string, T>();
  let turn: Promise<unknown> = Promise.resolve();

  /** One after another: what one that is under way has just missed, the next sees. */
  function catchUp(): Promise<void> {
    const done = turn.then(readAll);
    turn = done.catch(() => undefined);
    return done;
  }

  async function readAll(): Promise<void> {
    for (;;) {
      const records = await reader.read(recordsAtOnce);
      if (records.length === 0) return;
      // What cannot be decoded is nothing that anybody could look for.
      for (const record of records) if (!isPoison(record)) latest.set(key(record.value), record.value);
    }
  }

  return {
    async get(wanted) {
      const start = performance.now();
      for (;;) {
        await catchUp();
        const known = latest.get(wanted);
        if (known !== undefined) return known;
        const left = patienceMs - (performance.now() - start);
        if (left <= 0) return undefined;
        await reader.changed(Math.min(left, 200));
      }
    },
    async all() {
      await catchUp();
      return [...latest.values()];
    },
    close: () => reader.close(),
  };
}
