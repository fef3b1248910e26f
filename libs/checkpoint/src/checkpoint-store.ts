import { InputError } from '@infalign/core';
import { checkedHash, checkpointName, manifestName } from './checkpoint-name.js';
import type { ContentCache } from './content-cache.js';
import {
  describeFiles,
  manifestText,
  parseManifest,
  verifyContent,
  type Checkpoint,
  type CheckpointFiles,
  type Manifest,
} from './manifest.js';
import type { ObjectStorage, StoredObject } from './object-storage.js';
import { checkpointNames, objectsBelow, removableKeys } from './retention.js';
import { StoreUnavailable } from './store-unavailable.js';

/**
 * Checkpoints by name, in a folder or in S3. A name is checked as `checkpointName` does, wherever one is given; what goes
 * wrong and can be mended is an `InputError` with the place and the remedy.
 *
 * Under a checkpoint's name lie its contents, each in a folder named by its content hash, which is a Hugging Face folder with
 * a manifest of its own and never changes, and `manifest.json`, which says what content is current.
 */
export interface CheckpointStore {
  /**
   * Publishes a checkpoint, whole or not at all. Publishing the same again changes nothing. Other content or metadata under
   * the same name replaces what was there in one moment; readers see the one or the other, and of two that publish at a
   * time, the later to end wins.
   *
   * @param metadata JSON data that belongs to the files: stored in the same moment as they
   * @returns the content hash
   * @throws InputError if the name is illegal, a file is a pickle, or the store is full, denied or out of reach
   */
  publish(name: string, files: CheckpointFiles, metadata: unknown): Promise<string>;
  /**
   * Reads a checkpoint and verifies every byte of it.
   *
   * @param expectedHash the content hash that it must have; found also after other content has replaced it, until `retain`
   *   deletes it
   * @throws InputError if there is none of that name, or naming the file that is missing, damaged, or not the expected one;
   *   StoreUnavailable, which is one too, if it could not be found out: also where nothing at all is in the store
   */
  read(name: string, expectedHash?: string): Promise<Checkpoint>;
  /** Whether there is a checkpoint of that name. */
  has(name: string): Promise<boolean>;
  /**
   * The names of all checkpoints under a prefix, in order.
   *
   * @param prefix the first parts of their names (`runs/harmless`); empty for all
   */
  list(prefix: string): Promise<string[]>;
  /**
   * Deletes the checkpoints under a prefix but those that are to be kept, and what interrupted publications have left there once it is
   * old enough to belong to none that goes on. Call it when the newest checkpoint has been announced: not before, or a
   * process that has been replaced without knowing deletes what its successor published.
   *
   * @param isKept told of a name in full, as for `read`, whether it stays; one that appears meanwhile stays
   */
  retain(prefix: string, isKept: (name: string) => boolean): Promise<void>;
  close(): Promise<void>;
}

/** What any checkpoint store may be told. */
export interface CheckpointStoreOptions {
  /** How old what an interrupted publication left must be before `retain` deletes it, in milliseconds; by default an hour. */
  readonly leftoverGraceMs?: number;
}

const defaultLeftoverGraceMs = 3_600_000;

/** A reader begins again when what it reads is replaced meanwhile; this often, for a name that is replaced on and on. */
const maxReadAttempts = 20;

interface Found {
  /** Ends in `/`. */
  readonly folder: string;
  readonly text: string;
  readonly manifest: Manifest;
}

/**
 * A checkpoint store whose objects lie in a storage, which it closes.
 *
 * @param cache spares reading files from the storage
 */
export function createCheckpointStore(
  storage: ObjectStorage,
  { leftoverGraceMs = defaultLeftoverGraceMs }: CheckpointStoreOptions,
  cache?: ContentCache,
): CheckpointStore {
  /** The manifest of the content that is expected, else the current one; and the folder that its files lie in. */
  async function find(name: string, expectedHash: string | undefined): Promise<Found> {
    const folders = expectedHash === undefined ? [name] : [`${name}/${expectedHash}`, name];
    for (const folder of folders) {
      const text = (await storage.get(`${folder}/${manifestName}`))?.toString();
      if (text === undefined) continue;
      const manifest = parseManifest(text, storage.place(folder), expectedHash);
      return { text, manifest, folder: manifest.folder === undefined ? `${folder}/` : `${folder}/${manifest.folder}/` };
    }
    if (!(await storage.isThere())) {
      throw new StoreUnavailable(
        `${storage.place(name)}: there is no such checkpoint, and nothing else: mount the volume that the checkpoint store ` +
          "lies on, or correct the store's address.",
      );
    }
    throw new InputError(
      `${storage.place(name)}: there is no such checkpoint. It was never published here, or has been deleted as outdated: ` +
        'check the name and the checkpoint store.',
    );
  }

  async function readFiles({ folder, manifest }: Found): Promise<Map<string, Buffer>> {
    const files = new Map<string, Buffer>();
    for (const [name, { sha256 }] of Object.entries(manifest.files)) {
      files.set(name, (await cache?.get(sha256)) ?? (await readFile(folder + name, sha256)));
    }
    return files;
  }

  async function readFile(key: string, sha256: string): Promise<Buffer> {
    const bytes = await storage.get(key);
    if (bytes === undefined) {
      throw new InputError(
        `${storage.place(key)}: is missing. The checkpoint is incomplete: delete it and resume, or restore it from a copy.`,
      );
    }
    verifyContent(bytes, sha256, storage.place(key));
    await cache?.put(sha256, bytes);
    return bytes;
  }

  async function objectsUnder(prefix: string): Promise<StoredObject[]> {
    const folder = folderOf(prefix);
    return objectsBelow(await storage.list(folder), folder);
  }

  return {
    async publish(name, files, metadata) {
      checkpointName(name);
      const { manifest, contents } = describeFiles(files, metadata, storage.place(name));
      const folder = manifest.content_hash;
      for (const [file, bytes] of contents) await storage.put(`${name}/${folder}/${file}`, bytes);
      await storage.put(`${name}/${folder}/${manifestName}`, Buffer.from(manifestText(manifest)));
      await storage.put(`${name}/${manifestName}`, Buffer.from(manifestText({ ...manifest, folder })));
      return manifest.content_hash;
    },

    async read(name, expectedHash) {
      checkpointName(name);
      if (expectedHash !== undefined) checkedHash(expectedHash);
      let found = await find(name, expectedHash);
      for (let attempt = 1; ; attempt++) {
        try {
          const files = await readFiles(found);
          return { files, metadata: found.manifest.metadata, contentHash: found.manifest.content_hash };
        } catch (error) {
          if (!(error instanceof InputError) || attempt === maxReadAttempts) throw error;
          const again = await find(name, expectedHash);
          if (again.text === found.text && again.folder === found.folder) throw error;
          found = again;
        }
      }
    },

    async has(name) {
      return (await storage.get(`${checkpointName(name)}/${manifestName}`)) !== undefined;
    },

    async list(prefix) {
      return checkpointNames(await objectsUnder(prefix));
    },

    async retain(prefix, isKept) {
      const leftoversBeforeMs = Date.now() - leftoverGraceMs;
      const objects = await objectsUnder(prefix);
      const manifests = new Map<string, Manifest | undefined>();
      for (const name of checkpointNames(objects)) manifests.set(name, await currentManifest(name));
      for (const key of removableKeys(objects, manifests, isKept, leftoversBeforeMs)) await storage.remove(key);
    },

    close: () => storage.close(),
  };

  async function currentManifest(name: string): Promise<Manifest | undefined> {
    const text = (await storage.get(`${name}/${manifestName}`))?.toString();
    try {
      return text === undefined ? undefined : parseManifest(text, storage.place(name));
    } catch (error) {
      if (error instanceof InputError) return undefined;
      throw error;
    }
  }
}

/** The prefix as a folder: empty, or ending in `/`. */
function folderOf(prefix: string): string {
  return prefix === '' ? '' : `${checkpointName(prefix)}/`;
}
