import { spawnSync } from 'node:child_process';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { writeFileAtomically } from './atomic-file.js';
import { publishCheckpoint, readCheckpoint } from './checkpoint.js';

let store: string;
beforeEach(() => {
  store = mkdtempSync(join(tmpdir(), 'checkpoint-'));
});
afterEach(() => rmSync(store, { recursive: true, force: true }));

const files = new Map<string, string | Uint8Array>([
  ['config.json', '{}'],
  ['model.safetensors', Uint8Array.of(1, 2, 3)],
]);

describe('a checkpoint', () => {
  it('is read as it was published, metadata included, and replaces one of the same name', () => {
    publishCheckpoint(join(store, 'v1'), new Map([['old', 'x']]), null);
    const hash = publishCheckpoint(join(store, 'v1'), files, { offset: 7 });
    const checkpoint = readCheckpoint(join(store, 'v1'), hash);
    expect([...checkpoint.files.keys()]).toEqual(['config.json', 'model.safetensors']);
    expect(checkpoint.files.get('model.safetensors')).toEqual(Buffer.of(1, 2, 3));
    expect(checkpoint.metadata).toEqual({ offset: 7 });
    expect(checkpoint.contentHash).toBe(hash);
  });

  it('has a content hash of its files alone: not of their order, the metadata or the place', () => {
    const hash = publishCheckpoint(join(store, 'a'), files, 1);
    expect(publishCheckpoint(join(store, 'b'), new Map([...files].reverse()), 2)).toBe(hash);
    expect(publishCheckpoint(join(store, 'c'), new Map([...files, ['x', '']]), 1)).not.toBe(hash);
  });

  it('is refused, with the name of the file, when a byte of it is missing, added or changed', () => {
    const folder = join(store, 'v1');
    const hash = publishCheckpoint(folder, files, null);
    appendFileSync(join(folder, 'config.json'), ' ');
    expect(() => readCheckpoint(folder)).toThrow(/config\.json.*not what was published/);
    publishCheckpoint(folder, files, null);
    rmSync(join(folder, 'model.safetensors'));
    expect(() => readCheckpoint(folder)).toThrow(/model\.safetensors.*cannot be read/);
    publishCheckpoint(folder, files, null);
    const manifest = join(folder, 'manifest.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').slice(0, 20));
    expect(() => readCheckpoint(folder)).toThrow(/manifest\.json/);
    publishCheckpoint(folder, new Map([['other', '']]), null);
    expect(() => readCheckpoint(folder, hash)).toThrow('another checkpoint');
  });

  it('never names files outside its folder', () => {
    const folder = join(store, 'v1');
    publishCheckpoint(folder, files, null);
    const manifest = join(folder, 'manifest.json');
    writeFileSync(manifest, readFileSync(manifest, 'utf8').replace('config.json', '../../secret'));
    expect(() => readCheckpoint(folder)).toThrow('outside its folder');
  });
});

describe('a file written atomically', () => {
  it('keeps its earlier content, and leaves nothing behind, when the new content does not fit', () => {
    const target = join(store, 'result.json');
    writeFileSync(target, 'before');
    // A process that may write no file larger than 4 KiB: what a full disk does, without filling one.
    const source = `
      process.on('SIGXFSZ', () => {});
      const { writeFileAtomically } = await import(${JSON.stringify(new URL('./atomic-file.ts', import.meta.url).pathname)});
      try { writeFileAtomically(${JSON.stringify(target)}, 'x'.repeat(100_000)); } catch (error) { console.log(error.message); process.exit(3); }
    `;
    const script = join(store, 'write.mts');
    writeFileSync(script, source);
    const run = [process.execPath, '--conditions=@infalign/source', '--import', 'tsx', script].join(' ');
    const outcome = spawnSync('bash', ['-c', `ulimit -f 4; exec ${run}`], {
      encoding: 'utf8',
      cwd: import.meta.dirname,
      env: { ...process.env, TSX_DISABLE_CACHE: '1' },
    });
    expect(outcome.stderr + outcome.stdout).toContain('cannot be written');
    expect(readFileSync(target, 'utf8')).toBe('before');
    expect(readdirSync(store).filter((name) => name.includes('partial'))).toEqual([]);
  });

  it('says what to do where its place is a folder, or within a file', () => {
    writeFileSync(join(store, 'file'), '');
    mkdirSync(join(store, 'folder'));
    for (const [name, remedy] of [
      ['folder', 'it is a folder'],
      ['file/x', 'a part of the path is a file'],
      ['file/x/y', 'a part of the path is a file'],
    ] as const) {
      const target = join(store, name);
      expect(() => writeFileAtomically(target, 'text')).toThrow(`${target}: cannot be written: ${remedy}`);
    }
    expect(readdirSync(store).sort()).toEqual(['file', 'folder']);
  });

  it('makes the folders that it lies in', () => {
    writeFileAtomically(join(store, 'a', 'b', 'c.txt'), 'text');
    expect(existsSync(join(store, 'a', 'b', 'c.txt'))).toBe(true);
  });
});
