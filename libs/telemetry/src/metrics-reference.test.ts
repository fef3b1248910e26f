import { resolve } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { expect, it } from 'vitest';
import { metricsReference } from './metrics-reference.fixture.js';

it('docs/metrics.md is what the table of metrics says (after a change of it: npx vitest run --project @infalign/telemetry -u)', async () => {
  const page = resolve(import.meta.dirname, '../../..', 'docs/metrics.md');
  const expected = await format(metricsReference(), { ...(await resolveConfig(page)), parser: 'markdown' });
  await expect(expected).toMatchFileSnapshot(page);
});
