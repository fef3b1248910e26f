/**
 * Where a checkpoint store keeps its objects: a folder on a disk, or a part of a bucket. Keys are relative paths with `/`.
 * Each operation fails with `StoreUnavailable` where a person can mend the cause.
 */
export interface ObjectStorage {
  /** Where a key lies, for messages. */
  place(key: string): string;
  /** Whether anything can be there: a volume that is not mounted has nothing, which says nothing of what is on it. */
  isThere(): Promise<boolean>;
  /** Stores an object, whole or not at all, also after a crash; from then on every reader sees it. */
  put(key: string, bytes: Uint8Array): Promise<void>;
  /** Reads an object, or tells that there is none. */
  get(key: string): Promise<Buffer | undefined>;
  /** All objects under a prefix (empty, or ending in `/`). */
  list(prefix: string): Promise<StoredObject[]>;
  /** Deletes an object; where there is none, nothing happens. */
  remove(key: string): Promise<void>;
  close(): Promise<void>;
}

/** An object, without its content. */
export interface StoredObject {
  readonly key: string;
  /** When it was stored, in milliseconds since 1970. */
  readonly modifiedMs: number;
  readonly bytes: number;
}
