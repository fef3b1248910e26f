import { InputError } from '@infalign/core';
import { isPoison, type RolloutStream, type Topic } from '@infalign/rollout-stream';

/** What a topic says of each key, as far as it has been read. */
export interface FollowedTopic<Said> {
  /**
   * What is said of a key. What was appended before this call is seen.
   *
   * A transaction becomes visible in one partition before it does in another: who learns of a key from a record asks for what
   * is said of the key when that may still be hidden. So where it is not there, what is just being committed is waited for.
   *
   * @param isThere whether what is looked for has been said; by default, anything is
   * @returns nothing if nothing is said
   * @throws Error, and no InputError, if the topic cannot be read
   */
  get(key: string, isThere?: (said: Said) => boolean): Promise<Said | undefined>;
  /** What is said of all keys, as far as it has arrived. More arrives in the same map. */
  all(): Promise<ReadonlyMap<string, Said>>;
  /** The same, with what was appended before this call, and what was just being committed then: that is waited for. */
  settled(): Promise<ReadonlyMap<string, Said>>;
  close(): Promise<void>;
}

/** Records read at a time. */
const recordsAtOnce = 1000;

/** How long to sleep at most where nothing tells of a change: a bound, should a notice be lost. */
const longestSleepMs = 200;

/**
 * Follows a topic, keeping what it says of every key in memory. What is there now has been read when it resolves.
 *
 * @param key what to look records up by
 * @param add what is said of a key, with one more record of it
 */
export async function followTopic<T, Said>(
  stream: RolloutStream,
  topic: Topic<T>,
  key: (record: T) => string,
  add: (said: Said | undefined, record: T) => Said,
): Promise<FollowedTopic<Said>> {
  const saidOf = new Map<string, Said>();
  const hear = (record: T): void => void saidOf.set(key(record), add(saidOf.get(key(record)), record));
  // What is there already is known from the start on: what follows comes when it comes.
  const from = await stream.startOffsets(topic);
  for await (const { partition, offset, value } of stream.readAll(topic, from)) {
    hear(value);
    from[partition] = offset + 1;
  }
  const reader = await stream.follow(topic, from);
  let turn: Promise<unknown> = Promise.resolve();

  /** One after another: what one that is under way has just missed, the next sees. */
  function catchUp(): Promise<void> {
    const done = turn.then(readAll);
    turn = done.catch(() => undefined);
    return done;
  }

  async function readAll(): Promise<void> {
    for (;;) {
      const records = await reader.read(recordsAtOnce).catch((error: unknown) => {
        // It says nothing of what is looked for.
        throw error instanceof InputError ? new Error(`${topic.name}: ${error.message}`, { cause: error }) : error;
      });
      if (records.length === 0) return;
      // What cannot be decoded is nothing that anybody could look for.
      for (const record of records) if (!isPoison(record)) hear(record.value);
    }
  }

  /** Reads until all is known that was appended before, or until it is enough. */
  async function settle(enough: () => boolean): Promise<void> {
    const isRead = await reader.markEnd();
    for (;;) {
      // Before its own turn: after it, what others have read is known as well.
      const complete = isRead();
      await catchUp();
      if (complete || enough()) return;
      await reader.changed(longestSleepMs);
    }
  }

  return {
    async get(wanted, isThere = () => true) {
      const isSaid = (): boolean => saidOf.has(wanted) && isThere(saidOf.get(wanted)!);
      await catchUp();
      if (!isSaid()) await settle(isSaid);
      return saidOf.get(wanted);
    },
    async settled() {
      await settle(() => false);
      return saidOf;
    },
    async all() {
      await catchUp();
      return saidOf;
    },
    close: () => reader.close(),
  };
}
