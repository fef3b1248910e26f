import { describe, expect, it } from 'vitest';
import { syntheticResults } from '../experiment-results.fixture.js';
import { palettes } from './palette.js';
import { drawTrainingFigure } from './training-figures.js';

const results = syntheticResults();

describe('a training curve', () => {
  it('is left out if no run measured it', async () => {
    expect(await drawTrainingFigure(results, 'value_loss', palettes.light)).toBeUndefined();
  });

  it('draws one line a run, and one line a target KL', async () => {
    const { svg } = (await drawTrainingFigure(results, 'kl', palettes.light))!;
    expect(svg.match(/aria-roledescription="line mark" d=/g)).toHaveLength(2 * results.runs.length); // and its hidden twin
    expect(svg.match(/stroke-dasharray="4,3"/g)).toHaveLength(3);
  });

  it('averages long runs in groups, so that the page stays small', async () => {
    const [run] = results.runs;
    const training = Array.from({ length: 3000 }, (_, iteration) => ({
      ...run!.training[0]!,
      iteration,
      kl: iteration % 2,
    }));
    const { spec } = (await drawTrainingFigure({ ...results, runs: [{ ...run!, training }] }, 'kl', palettes.light))!;
    const rows = spec.data!.flatMap((source) =>
      'values' in source && Array.isArray(source.values) ? (source.values as unknown[]) : [],
    );
    const points = rows.filter(
      (row): row is { value: number } => typeof row === 'object' && row !== null && 'iteration' in row,
    );
    expect(points.length).toBeGreaterThan(100);
    expect(points.length).toBeLessThanOrEqual(300);
    expect(points.every((point) => point.value === 0.5)).toBe(true);
  });
});
