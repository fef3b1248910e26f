import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';

/** A new folder for the files of a test file, removed when its tests are over. */
export function newTestFolder(): {
  write: (name: string, content: string | Uint8Array) => string;
  path: (name: string) => string;
  folder: string;
  list: () => string[];
} {
  const folder = mkdtempSync(join(tmpdir(), 'infalign-test-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  const path = (name: string) => join(folder, name);
  return {
    folder,
    path,
    write(name, content) {
      writeFileSync(path(name), content);
      return path(name);
    },
    list: () => readdirSync(folder).sort(),
  };
}

export function jsonLines(objects: readonly object[]): string {
  return objects.map((object) => `${JSON.stringify(object)}\n`).join('');
}
