import { openFolderStorage } from './folder-storage.js';
import { hashOf } from './manifest.js';

/**
 * Files by the SHA-256 of their content, kept near: several processes of a machine may share one. It never fails: what it
 * cannot keep or read is there where it came from.
 */
export interface ContentCache {
  /** The content, verified, if it is here. */
  get(sha256: string): Promise<Buffer | undefined>;
  /** Keeps a content; what has been here longest is deleted where the cache would outgrow its limit. */
  put(sha256: string, bytes: Uint8Array): Promise<void>;
}

/** Where files are kept near. */
export interface ContentCacheOptions {
  /** Of its own; made when the first file is kept. */
  readonly folder: string;
  /** How large it may become, in bytes; at least 1. A single larger file is kept all the same. */
  readonly maxBytes: number;
  /** Told why a file could not be kept or read, such as of a disk that is full. */
  readonly onTrouble?: (error: unknown) => void;
}

/** Opens a cache. */
export function openContentCache({ folder, maxBytes, onTrouble = () => undefined }: ContentCacheOptions): ContentCache {
  const storage = openFolderStorage(folder);

  return {
    async get(sha256) {
      try {
        const bytes = await storage.get(sha256);
        // Damaged here, it is whole where it came from.
        return bytes !== undefined && hashOf(bytes) === sha256 ? bytes : undefined;
      } catch (error) {
        onTrouble(error);
        return undefined;
      }
    },

    async put(sha256, bytes) {
      try {
        await storage.put(sha256, bytes);
        const newestFirst = (await storage.list('')).sort((a, b) => b.modifiedMs - a.modifiedMs);
        let total = 0;
        for (const object of newestFirst) {
          total += object.bytes;
          if (total > maxBytes && object.key !== sha256) await storage.remove(object.key);
        }
      } catch (error) {
        onTrouble(error);
      }
    },
  };
}
