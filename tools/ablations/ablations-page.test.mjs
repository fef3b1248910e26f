import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseExperiment } from '@infalign/run-config';
import { format, resolveConfig } from 'prettier';
import { describe, expect, it } from 'vitest';
import { root } from '../workspace/workspace.mjs';
import { ablationsPage, figureFile } from './ablations-page.mjs';
import { figures } from './figures.mjs';
import { ablations } from './measure.mjs';
import { formatAblations } from './results-text.mjs';
import { settings } from './settings.mjs';
import { texts } from './texts.mjs';

const folder = join(root, 'docs', 'results');
const text = readFileSync(join(folder, 'ablations.json'), 'utf8');
const measured = JSON.parse(text);

describe('docs/results/ablations.md', () => {
  it('says what the committed results say (after new ones: npx vitest run --project ablations -u)', async () => {
    const page = join(folder, 'ablations.md');
    const options = { ...(await resolveConfig(page)), parser: 'markdown' };
    await expect(await format(ablationsPage(measured), options)).toMatchFileSnapshot(page);
  });

  it.each(Object.keys(figures))('has the picture that the results of %s give', async (name) => {
    await expect(await figures[name](measured.results)).toMatchFileSnapshot(join(folder, figureFile(name)));
  });

  it('has a picture where it shows one, and tells of every ablation', () => {
    const withFigure = Object.keys(texts).filter((name) => texts[name].figure !== undefined);
    expect(withFigure).toEqual(Object.keys(figures));
    expect(Object.keys(texts)).toEqual(Object.keys(ablations));
    expect(Object.keys(measured.results)).toEqual(Object.keys(ablations));
  });

  it('is of the settings and the experiment as they are', () => {
    expect(measured.settings).toEqual(settings);
    const path = join(root, 'experiments', `${measured.experiment}.yaml`);
    expect(parseExperiment(readFileSync(path, 'utf8'), path)).toMatchObject({
      name: measured.experiment,
      seed: measured.seed,
    });
  });

  it('is of results as the command writes them', () => {
    expect(formatAblations(measured)).toBe(text);
  });
});
