import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';

it('the example of the README learns the line that its data lies on', async () => {
  const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
  const [, example] = /```ts\n(.*?)```/s.exec(readme)!;
  const folder = mkdtempSync(join(import.meta.dirname, '..', 'readme-'));
  const log = vi.spyOn(console, 'log').mockImplementation(() => undefined);
  try {
    const file = join(folder, 'example.mjs');
    writeFileSync(file, example!);
    await import(file);
    const learnt = log.mock.calls.flat().flatMap((values) => Array.from(values as Float32Array));
    [2, 3, 4, 1].forEach((expected, index) => expect(learnt[index]).toBeCloseTo(expected, 1));
  } finally {
    log.mockRestore();
    rmSync(folder, { recursive: true, force: true });
  }
});
