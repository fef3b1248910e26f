import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createCheckpointStore } from './checkpoint-store.js';
import { describeCheckpointStore } from './conformance.fixture.js';
import { openContentCache } from './content-cache.js';
import { openFolderStorage } from './folder-storage.js';
import { openFolderStore } from './folder-store.js';
import { numberedFiles, numberOf } from './numbered-files.fixture.js';
import { StoreUnavailable } from './store-unavailable.js';

describeCheckpointStore('a checkpoint store in a folder', () => {
  const folder = mkdtempSync(join(tmpdir(), 'checkpoints-'));
  return Promise.resolve({
    address: (part: string) => join(folder, part),
    storage: (part: string) => openFolderStorage(join(folder, part)),
    environment: {},
    remove: () => Promise.resolve(rmSync(folder, { recursive: true, force: true })),
  });
});

describe('the folder of a checkpoint store', () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'checkpoints-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  it('has the old checkpoint, and nothing of the new one, when the disk is full', async () => {
    const store = openFolderStore(folder);
    await store.publish('v', numberedFiles(1), { number: 1 });
    // A process that may write no file larger than 4 KiB: what a full disk does, without filling one.
    const program = join(import.meta.dirname, 'publish-large.fixture.ts');
    const run = [process.execPath, '--conditions=@infalign/source', '--import', 'tsx', program, folder, 'v'];
    const { stdout, stderr } = spawnSync('bash', ['-c', 'ulimit -f 4; exec "$@"', 'limited', ...run], {
      encoding: 'utf8',
      env: { ...process.env, TSX_DISABLE_CACHE: '1' },
    });
    expect(stdout + stderr).toMatch(/^InputError: .*model\.safetensors: cannot be written: .*raise the limit/);
    expect(numberOf(await store.read('v'))).toBe(1);
    await openFolderStore(folder, { leftoverGraceMs: 0 }).retain('', (name) => name === 'v');
    const storage = openFolderStorage(folder);
    expect(await storage.list('')).toHaveLength(numberedFiles(1).size + 2);
  });

  it('shows a file whole while it is written anew', async () => {
    const storage = openFolderStorage(folder);
    const contents = ['a', 'b'].map((letter) => Buffer.alloc(1_000_000, letter));
    await storage.put('file', contents[0]!);
    let writing = true;
    const write = async () => {
      for (let round = 0; round < 30; round++) await storage.put('file', contents[round % 2]!);
      writing = false;
    };
    const read = async () => {
      while (writing) {
        const found = await storage.get('file');
        expect(contents.some((content) => found?.equals(content))).toBe(true);
      }
    };
    await Promise.all([write(), read(), read()]);
  });

  it('cannot be where a file is', async () => {
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const store = openFolderStore(file);
    await expect(store.publish('v', new Map(), null)).rejects.toThrow('a part of the path is a file: choose another');
    await expect(store.publish('v', new Map(), null)).rejects.toThrow(StoreUnavailable);
    await expect(store.read('v')).rejects.toThrow('there is no such checkpoint');
    expect(await store.list('')).toEqual([]);
  });

  it('says nothing of a checkpoint while its volume is not mounted, and that there is none once it is', async () => {
    const mounted = join(folder, 'mounted');
    const store = openFolderStore(mounted);
    await store.publish('v', new Map(), null);
    renameSync(mounted, join(folder, 'away'));
    await expect(store.read('v')).rejects.toThrow(StoreUnavailable);
    mkdirSync(mounted);
    await expect(store.read('v')).rejects.toThrow(/mounted\/v: .* nothing else: mount the volume/);
    await expect(store.read('v')).rejects.toThrow(StoreUnavailable);
    rmdirSync(mounted);
    renameSync(join(folder, 'away'), mounted);
    await store.read('v');
    await expect(store.read('w')).rejects.not.toThrow(StoreUnavailable);
  });

  it('is read also where the cache can keep nothing, which is told', async () => {
    await openFolderStore(folder).publish('v', numberedFiles(1), { number: 1 });
    const file = join(folder, 'file');
    writeFileSync(file, '');
    const told: unknown[] = [];
    const cache = openContentCache({
      folder: join(file, 'cache'),
      maxBytes: 1000,
      onTrouble: (error) => told.push(error),
    });
    const store = createCheckpointStore(openFolderStorage(folder), {}, cache);
    expect(numberOf(await store.read('v'))).toBe(1);
    expect(String(told[0])).toMatch(/file\/cache\/.*cannot be written: a part of the path is a file/);
  });
});
