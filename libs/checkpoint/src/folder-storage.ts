import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm, rmdir, stat, unlink } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { errorCode, explained } from './atomic-file.js';
import { partialEnding } from './checkpoint-name.js';
import type { ObjectStorage, StoredObject } from './object-storage.js';

/** How often a folder that a deletion takes away meanwhile is made again. */
const attempts = 10;

/** Keeps objects as files under a folder, which is made when the first is stored. */
export function openFolderStorage(folder: string): ObjectStorage {
  const root = resolve(folder);
  const pathOf = (key: string) => join(root, key);

  async function removeEmptyFolders(folder: string): Promise<void> {
    for (let path = folder; path !== root; path = dirname(path)) {
      try {
        await rmdir(path);
      } catch (error) {
        if (isMissing(error)) continue;
        if (['ENOTEMPTY', 'EEXIST'].includes(errorCode(error))) return;
        throw error;
      }
    }
  }

  return {
    place: pathOf,

    async isThere() {
      try {
        return ((await unlessMissing(() => readdir(root))) ?? []).length > 0;
      } catch (error) {
        throw explained(error, root, 'read');
      }
    },

    async put(key, bytes) {
      const path = pathOf(key);
      for (let attempt = 1; ; attempt++) {
        try {
          await makeFolder(dirname(path));
          return await writeFile(path, bytes);
        } catch (error) {
          if (!isMissing(error) || attempt === attempts) throw explained(error, path);
        }
      }
    },

    async get(key) {
      try {
        return await readFile(pathOf(key));
      } catch (error) {
        if (isMissing(error)) return undefined;
        throw explained(error, pathOf(key), 'read');
      }
    },

    async list(prefix) {
      const found: StoredObject[] = [];
      try {
        await walk(pathOf(prefix), async (path) => {
          const file = await unlessMissing(() => stat(path));
          if (file === undefined) return;
          found.push({
            key: relative(root, path).split(sep).join('/'),
            modifiedMs: Math.floor(file.mtimeMs),
            bytes: file.size,
          });
        });
      } catch (error) {
        throw explained(error, pathOf(prefix), 'read');
      }
      return found;
    },

    async remove(key) {
      const path = pathOf(key);
      try {
        await unlessMissing(() => unlink(path));
        await removeEmptyFolders(dirname(path));
      } catch (error) {
        throw explained(error, path);
      }
    },

    close: () => Promise.resolve(),
  };
}

async function writeFile(path: string, bytes: Uint8Array): Promise<void> {
  const partial = `${path}.${randomUUID()}${partialEnding}`;
  try {
    const file = await open(partial, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(partial, path);
    await syncFolder(dirname(path));
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }
}

/** Makes a folder and those that it lies in, so that they are there after a power cut too. */
async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true });
  if (first === undefined) return;
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

async function walk(folder: string, visit: (path: string) => Promise<void>): Promise<void> {
  const entries = await unlessMissing(() => readdir(folder, { withFileTypes: true }));
  for (const entry of entries ?? []) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await walk(path, visit);
    else if (entry.isFile()) await visit(path);
  }
}

async function unlessMissing<Result>(action: () => Promise<Result>): Promise<Result | undefined> {
  try {
    return await action();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

/** A path through a file leads to nothing, as one through a folder that is not there. */
function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENOTDIR'].includes(errorCode(error));
}
