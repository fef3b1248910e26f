/** One committed transaction of a worker. */
export interface WorkerProgress {
  readonly name: string;
  /** Records consumed, undecodable ones included. */
  readonly consumed: number;
  /** Records appended, dead letters included. */
  readonly produced: number;
  /** Dead letters among them: records that could not be used. */
  readonly deadLetters: number;
}

/** Something that consumes from a stream and produces to it, one transaction at a time. */
export interface Worker {
  readonly name: string;
  /** One transaction, if there is something to do. @returns nothing if there was not: it waits for records */
  advance(): Promise<WorkerProgress | undefined>;
  /** Resolves when there may be something to do, or after the time. */
  changed(timeoutMs: number): Promise<void>;
  close(): Promise<void>;
}
