import { InputError } from '@infalign/core';
import { openFolderStorage } from './folder-storage.js';
import { verifyContent } from './manifest.js';

/** Files by the SHA-256 of their content, kept near: several processes of a machine may share one. */
export interface ContentCache {
  /** The content, verified, if it is here. */
  get(sha256: string): Promise<Buffer | undefined>;
  /** Keeps a content; what has been here longest is deleted where the cache would outgrow its limit. */
  put(sha256: string, bytes: Uint8Array): Promise<void>;
}

/** Opens a cache in a folder of its own, made when the first file is kept. */
export function openContentCache(folder: string, maxBytes: number): ContentCache {
  const storage = openFolderStorage(folder);

  return {
    async get(sha256) {
      const bytes = await storage.get(sha256);
      if (bytes === undefined) return undefined;
      try {
        verifyContent(bytes, sha256, storage.place(sha256));
        return bytes;
      } catch (error) {
        // Damaged here, it is whole where it came from.
        if (error instanceof InputError) return undefined;
        throw error;
      }
    },

    async put(sha256, bytes) {
      await storage.put(sha256, bytes);
      const newestFirst = (await storage.list('')).sort((a, b) => b.modifiedMs - a.modifiedMs);
      let total = 0;
      for (const object of newestFirst) {
        total += object.bytes;
        if (total > maxBytes && object.key !== sha256) await storage.remove(object.key);
      }
    },
  };
}
