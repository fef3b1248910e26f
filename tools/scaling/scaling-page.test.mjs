import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { root } from '../workspace/workspace.mjs';
import { courseFigure } from './figures.mjs';
import { defaults } from './defaults.mjs';
import { scalingPage } from './scaling-page.mjs';
import { simulate } from './simulate.mjs';
import { group, partitions, scenarios, stagesWith } from './system.mjs';

describe('docs/scaling.md', () => {
  it('is what follows from the benchmarks (after new ones: npx vitest run --project scaling -u)', async () => {
    const page = join(root, 'docs', 'scaling.md');
    const options = { ...(await resolveConfig(page)), parser: 'markdown' };
    await expect(await format(scalingPage(), options)).toMatchFileSnapshot(page);
  });

  it.each(Object.entries(scenarios))('has the picture of %s', async (title, scenario) => {
    const courses = simulate({ stages: stagesWith(defaults), partitions, group }, scenario);
    const name = title.replace(/^an? /, '').replaceAll(' ', '-').toLowerCase();
    const file = join(root, 'docs', 'images', `scaling-${name}.svg`);
    await expect(courseFigure(title, courses)).toMatchFileSnapshot(file);
    expect(scalingPage()).toContain(`images/scaling-${name}.svg`);
  });
});
