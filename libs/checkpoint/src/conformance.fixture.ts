import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { InputError, seededRandom } from '@infalign/core';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { publishCheckpoint, readCheckpoint } from './checkpoint.js';
import { createCheckpointStore, type CheckpointStore } from './checkpoint-store.js';
import { openFolderStorage } from './folder-storage.js';
import { numberedFiles, numberOf } from './numbered-files.fixture.js';
import type { ObjectStorage } from './object-storage.js';

/** A place for checkpoints that is tested. */
export interface TestedPlace {
  /** Of a fresh part of it, by name. */
  address(part: string): string;
  /** Opens the objects at such a part. */
  storage(part: string): ObjectStorage;
  /** What a process needs in its environment to open the address. */
  readonly environment: Readonly<Record<string, string>>;
  remove(): Promise<void>;
}

const files = new Map<string, string | Uint8Array>([
  ['config.json', '{}'],
  ['model.safetensors', Uint8Array.of(1, 2, 3)],
]);

/** What holds of every checkpoint store, wherever it lies. */
export function describeCheckpointStore(title: string, openPlace: () => Promise<TestedPlace>): void {
  describe(title, () => {
    let place: TestedPlace;
    let parts = 0;
    let part: string;
    let storage: ObjectStorage;
    let store: CheckpointStore;
    beforeAll(async () => {
      place = await openPlace();
    }, 300_000);
    beforeEach(() => {
      part = `part-${parts++}`;
      storage = place.storage(part);
      store = createCheckpointStore(storage, { leftoverGraceMs: 0 });
      return () => store.close();
    });
    afterAll(() => place.remove());

    const text = async (key: string) => (await storage.get(key))!.toString();
    const keys = async () => (await storage.list('')).map(({ key }) => key).sort();

    it('gives back what was published, metadata included', async () => {
      const large = patternedBytes(9_000_001);
      const hash = await store.publish('runs/a/v1', new Map([...files, ['large.safetensors', large]]), { offset: 7 });
      const checkpoint = await store.read('runs/a/v1', hash);
      expect([...checkpoint.files.keys()]).toEqual(['config.json', 'large.safetensors', 'model.safetensors']);
      expect(checkpoint.files.get('large.safetensors')!.equals(large)).toBe(true);
      expect(checkpoint.files.get('model.safetensors')).toEqual(Buffer.of(1, 2, 3));
      expect(checkpoint.metadata).toEqual({ offset: 7 });
      expect(checkpoint.contentHash).toBe(hash);
      expect(await store.has('runs/a/v1')).toBe(true);
      expect(await store.has('runs/a')).toBe(false);
    });

    it('is changed by publishing other content or metadata, and not by publishing the same again', async () => {
      const first = await store.publish('v1', files, 1);
      const before = await keys();
      expect(await store.publish('v1', new Map([...files].reverse()), 1)).toBe(first);
      expect(await keys()).toEqual(before);
      await store.publish('v1', files, 2);
      expect((await store.read('v1')).metadata).toBe(2);
      const second = await store.publish('v1', new Map([['other.json', '']]), 3);
      expect(await store.read('v1')).toMatchObject({ contentHash: second, metadata: 3 });
      // A version that was announced by its hash stays readable when a process that was replaced publishes late.
      expect(await store.read('v1', first)).toMatchObject({ contentHash: first, metadata: 2 });
    });

    it('refuses a checkpoint that is not there, or is not the expected one', async () => {
      await store.publish('v0', files, null);
      await expect(store.read('v1')).rejects.toThrow(/v1: there is no such checkpoint.*check the name/);
      await expect(store.read('v1', 'a'.repeat(64))).rejects.toThrow('there is no such checkpoint');
      const hash = await store.publish('v1', files, null);
      await expect(store.read('v1', 'a'.repeat(64))).rejects.toThrow(`has content hash ${hash}, expected aaaa`);
      await expect(store.read('v1', '../../etc')).rejects.toThrow('"../../etc": is not 64 hexadecimal digits');
    });

    it('names the file of which a byte has changed or that is missing', async () => {
      const hash = await store.publish('v1', files, null);
      const model = `v1/${hash}/model.safetensors`;
      await storage.put(model, Uint8Array.of(1, 2, 4));
      await expect(store.read('v1')).rejects.toThrow(`${storage.place(model)}: its content is not what was published`);
      await store.publish('v1', files, null);
      await storage.remove(model);
      await expect(store.read('v1')).rejects.toThrow(`${storage.place(model)}: is missing`);
      await store.publish('v1', files, null);
      await storage.put('v1/manifest.json', Buffer.from((await text('v1/manifest.json')).slice(0, 50)));
      await expect(store.read('v1')).rejects.toThrow("v1/manifest.json: is not a checkpoint's manifest");
      expect((await store.read('v1', hash)).contentHash).toBe(hash);
    });

    it('refuses pickles when they are published, and when a manifest names one', async () => {
      const pickles = new Map([...files, ['pytorch_model.bin', '']]);
      await expect(store.publish('v1', pickles, null)).rejects.toThrow(/pytorch_model\.bin.*safetensors only/);
      expect(await keys()).toEqual([]);
      await store.publish('v1', files, null);
      const manifest = await text('v1/manifest.json');
      await storage.put('v1/manifest.json', Buffer.from(manifest.replace('config.json', 'weights.PT')));
      await expect(store.read('v1')).rejects.toThrow(/weights\.PT.*safetensors only/);
      await storage.put('v1/manifest.json', Buffer.from(manifest.replace('config.json', '../../../secret')));
      await expect(store.read('v1')).rejects.toThrow('outside its folder');
      await storage.put('v1/manifest.json', Buffer.from(manifest.replace(/"folder": ".*"/, '"folder": "../.."')));
      await expect(store.read('v1')).rejects.toThrow("is not a checkpoint's manifest");
    });

    it('takes no name that leads elsewhere', async () => {
      const name = '../other';
      for (const attempt of [
        store.publish(name, files, null),
        store.read(name),
        store.has(name),
        store.list(name),
        store.retain(name, () => false),
      ]) {
        await expect(attempt).rejects.toThrow(InputError);
      }
    });

    it('lists the checkpoints under a prefix', async () => {
      for (const name of ['b/v1', 'a/v2', 'a/v1', 'a/deeper/v1', 'ab/v1']) await store.publish(name, files, null);
      await storage.put('a/notes.txt', Buffer.from(''));
      expect(await store.list('a')).toEqual(['a/deeper/v1', 'a/v1', 'a/v2']);
      expect(await store.list('')).toEqual(['a/deeper/v1', 'a/v1', 'a/v2', 'ab/v1', 'b/v1']);
      expect(await store.list('a/v1')).toEqual([]);
    });

    it('keeps what retention is to keep and what is no checkpoint, and deletes the rest', async () => {
      for (const name of ['a/v1', 'a/v2', 'a/v3', 'b/v1']) await store.publish(name, files, null);
      await storage.put('a/tables/notes.txt', Buffer.from(''));
      await store.retain('a', (name) => ['a/v2', 'a/v3'].includes(name));
      expect(await store.list('')).toEqual(['a/v2', 'a/v3', 'b/v1']);
      expect((await keys()).filter((key) => key.startsWith('a/v1'))).toEqual([]);
      expect(await keys()).toContain('a/tables/notes.txt');
      for (const name of ['a/v2', 'a/v3', 'b/v1']) await store.read(name);
    });

    it('deletes what was replaced or not finished once it is old, and not before', async () => {
      const [kept, replaced, unfinished] = ['a/v2', 'a/v1', 'a/v3'];
      const old = await store.publish(replaced, new Map([['other.json', '']]), null);
      await store.publish(replaced, files, null);
      await store.publish(kept, files, null);
      await storage.put(`${unfinished}/${'0'.repeat(64)}/model.safetensors`, Buffer.from(''));
      const before = await keys();
      await createCheckpointStore(storage, {}).retain('a', (name) => [kept, replaced].includes(name));
      expect(await keys()).toEqual(before);
      expect((await store.read(replaced, old)).contentHash).toBe(old);
      await store.retain('a', (name) => [kept, replaced].includes(name));
      expect(await keys()).toEqual(before.filter((key) => !key.includes(old) && !key.startsWith(unfinished)));
      for (const name of [kept, replaced]) await store.read(name);
    });

    it('shows readers whole checkpoints while two writers replace them and retention runs', async () => {
      await store.publish('v', numberedFiles(-1), { number: -1 });
      const seen = new Set<number | undefined>();
      const last: number[] = [];
      const write = async (first: number) => {
        let number = first;
        for (; number < 8 || (seen.size < 4 && number < 1000); number += 2) {
          await store.publish('v', numberedFiles(number), { number });
        }
        last.push(number - 2);
      };
      const untilWritten = async (step: () => Promise<unknown>) => {
        while (last.length < 2) await step();
      };
      // It finds what the other writer has not finished, and leaves it alone.
      const retaining = createCheckpointStore(storage, {});
      await Promise.all([
        write(0),
        write(1),
        untilWritten(async () => seen.add(numberOf(await store.read('v')))),
        untilWritten(async () => seen.add(numberOf(await store.read('v')))),
        untilWritten(() => retaining.retain('', (name) => name === 'v')),
      ]);
      expect(seen).not.toContain(undefined);
      expect(last).toContain(numberOf(await store.read('v')));
    });

    it('goes on with what is current when a reader finds that its files have been replaced and deleted', async () => {
      const old = await store.publish('v', numberedFiles(0), { number: 0 });
      let replaced = false;
      const racing = createCheckpointStore(
        {
          ...storage,
          async get(key) {
            if (key.includes('part-3.json') && !replaced) {
              replaced = true;
              await store.publish('v', numberedFiles(1), { number: 1 });
              await store.retain('', (name) => name === 'v');
            }
            return storage.get(key);
          },
        },
        {},
      );
      expect(numberOf(await racing.read('v'))).toBe(1);
      await expect(store.read('v', old)).rejects.toThrow('another checkpoint');
    });

    it('has the old checkpoint or the new one, whenever the process that replaces it is killed', async () => {
      const random = seededRandom('kills', title);
      let unfinished = 0;
      let number = 0;
      for (let kills = 0; kills < 2 || (unfinished === 0 && kills < 10); kills++) {
        const before = number;
        await publishUntilKilled(before, random.uniform() * 100);
        number = numberOf(await store.read('v'))!;
        expect(number).toBeGreaterThanOrEqual(before);
        const found = await keys();
        const contents = new Set(found.map((key) => /^v\/([0-9a-f]{64})\//.exec(key)?.[1]).filter(Boolean));
        unfinished += [...contents].filter((hash) => !found.includes(`v/${hash}/manifest.json`)).length;
        await store.retain('', (name) => name === 'v');
        expect(await keys()).toHaveLength(numberedFiles(0).size + 2);
        number++;
      }
      expect(unfinished).toBeGreaterThan(0);
    });

    it('has the same layout in every place: a copy of its objects, or of a published folder, is the same', async () => {
      const folder = mkdtempSync(join(tmpdir(), 'checkpoint-'));
      try {
        const copy = openFolderStorage(folder);
        const hash = await store.publish('a/v1', files, { offset: 7 });
        for (const key of await keys()) await copy.put(key, (await storage.get(key))!);
        expect(readCheckpoint(join(folder, 'a/v1'), hash).metadata).toEqual({ offset: 7 });
        expect(readCheckpoint(join(folder, 'a/v1', hash), hash).metadata).toEqual({ offset: 7 });
        publishCheckpoint(join(folder, 'a/v2'), files, 2);
        for (const { key } of await copy.list('a/v2/')) await storage.put(key, (await copy.get(key))!);
        expect(await store.read('a/v2', hash)).toMatchObject({ contentHash: hash, metadata: 2 });
        await store.publish('a/v2', new Map([['other.json', '']]), 3);
        expect((await store.read('a/v2')).metadata).toBe(3);
        await store.retain('', (name) => name === 'a/v2');
        expect((await keys()).filter((key) => key.endsWith('config.json'))).toEqual([]);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    /** Runs a process that replaces the checkpoint `v`; kills it so many milliseconds after its first publication. */
    async function publishUntilKilled(first: number, killAfterMs: number): Promise<void> {
      const program = join(import.meta.dirname, 'publish-endlessly.fixture.ts');
      const child = spawn(
        process.execPath,
        ['--conditions=@infalign/source', '--import', 'tsx', program, place.address(part), 'v', String(first)],
        { stdio: ['ignore', 'pipe', 'inherit'], env: { ...process.env, ...place.environment } },
      );
      const ended = once(child, 'exit');
      await Promise.race([once(child.stdout, 'data'), ended]);
      await sleep(killAfterMs);
      child.kill('SIGKILL');
      const [, signal] = (await ended) as [number | null, string | null];
      expect(signal).toBe('SIGKILL');
    }
  });
}

/** A pattern that repeats at no round length, so that a part in the wrong place shows. */
function patternedBytes(length: number): Buffer {
  return Buffer.alloc(length, Buffer.from(Array.from({ length: 251 }, (_, index) => index)));
}
