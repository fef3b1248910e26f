import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { experimentReference } from './experiment-reference.fixture.js';

const page = resolve(import.meta.dirname, '../../../docs/experiment.md');

describe('docs/experiment.md', () => {
  it('is what the schema says (after a change of the schema: npx vitest run --project @infalign/run-config -u)', async () => {
    const expected = await format(experimentReference(), { ...(await resolveConfig(page)), parser: 'markdown' });
    await expect(expected).toMatchFileSnapshot(page);
  });

  it('lists settings at every depth with their ranges and defaults', () => {
    const text = experimentReference();
    expect(text).toMatch(/## `judge\.model\.training`/);
    expect(text).toMatch(/\| `clip_epsilon` \| [^|]+ \| a number, above 0 and below 1 \| `0\.2` \|/);
    expect(text).toMatch(/\| `name` \| .* \| required \|/);
    expect(text).toMatch(/\| `transforms` \| [^|]+ \| a list, not empty, of: identity, log or exp:T \| `\["identity"/);
  });
});
