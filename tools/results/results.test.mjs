import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseResults, renderFrontierFigure } from '@infalign/report';
import { parseExperiment } from '@infalign/run-config';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { root } from '../workspace/workspace.mjs';
import { hasFigure, resultsPage } from './results-page.mjs';
import { texts } from './texts.mjs';

const folder = join(root, 'docs', 'results');
const read = (name) => parseResults(readFileSync(join(folder, `${name}.json`), 'utf8'), `${name}.json`);
const experiments = Object.fromEntries(Object.keys(texts).map((name) => [name, read(name)]));

describe('docs/results', () => {
  it('says what the committed results say (after new ones: npx vitest run --project results -u)', async () => {
    const page = join(folder, 'README.md');
    const options = { ...(await resolveConfig(page)), parser: 'markdown' };
    await expect(await format(resultsPage(experiments), options)).toMatchFileSnapshot(page);
  });

  it.each(Object.keys(texts).filter(hasFigure))('has the picture that the results of %s give', async (name) => {
    const picture = await renderFrontierFigure(experiments[name], { theme: 'light' });
    await expect(picture).toMatchFileSnapshot(join(folder, `${name}.svg`));
  });

  it('tells of every file of results, and of none that is not there', () => {
    // Ablations have a page of their own.
    const files = readdirSync(folder).filter((file) => file.endsWith('.json') && file !== 'ablations.json');
    expect(files.sort()).toEqual(
      Object.keys(texts)
        .map((name) => `${name}.json`)
        .sort(),
    );
  });

  it.each(Object.keys(texts))('is of experiments/%s.yaml as it is', (name) => {
    const path = join(root, 'experiments', `${name}.yaml`);
    const experiment = parseExperiment(readFileSync(path, 'utf8'), path);
    expect(parseExperiment(experiments[name].settings, `${name}.json`)).toEqual(experiment);
  });
});
