import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, it } from 'vitest';

it('a graph that XLA compiles computes the same', () => {
  const program = join(import.meta.dirname, 'compiled-by-xla.fixture.ts');
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ['--conditions=@infalign/source', '--import', 'tsx', program],

    { encoding: 'utf8', env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '0' } },
  );
  expect(stderr).toContain('Compiled cluster using XLA');
  const [without, withXla] = (JSON.parse(stdout) as number[][][][]).map((runs) => runs.flat(2));
  expect(without).toHaveLength(2 * 4 + 12 + 2 * 4 + 12 + 5 * 4 + 12);
  without!.forEach((value, index) => expect(Math.abs(withXla![index]! - value)).toBeLessThan(1e-6));
});
