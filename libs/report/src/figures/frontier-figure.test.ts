import { describe, expect, it } from 'vitest';
import { syntheticResults, withSeeds } from '../experiment-results.fixture.js';
import type { ExperimentResults } from '../results.js';
import { drawFrontierPanel, renderFrontierFigure } from './frontier-figure.js';
import { pagePalette, palettes } from './palette.js';
import { seedCurves } from './seed-curves.js';

const results = syntheticResults();

/** Where the filled markers of one colour stand, in units of a panel: from the left, and from the bottom. */
function markers(svg: string, colour: string): { x: number; y: number }[] {
  const symbols = new RegExp(
    `transform="translate\\(([\\d.]+),([\\d.-]+)\\)" d="[^"]+" fill="${colour.replace(/[()]/g, '\\$&')}" stroke-width`,
    'g',
  );
  return [...svg.matchAll(symbols)].map(([, x, y]) => ({ x: Number(x) / 320, y: 1 - Number(y) / 290 }));
}

function largestKl(of: ExperimentResults): number {
  return Math.max(...of.runs.map((run) => run.kl.exact.high)) * 1.06;
}

describe('the frontier picture', () => {
  it('has a marker of the right colour where each run was measured', async () => {
    const { svg } = await drawFrontierPanel(results, 'bon:4', 'judge', palettes.light);
    const runs = results.runs.filter((run) => run.method === 'ppo/exp:10');
    const drawn = markers(svg, palettes.light.series[1]!);
    expect(drawn).toHaveLength(runs.length);
    runs.forEach((run, index) => {
      const winRate = run.win_rates.find((one) => one.procedure === 'bon:4' && one.scorer === 'judge')!.mean;
      expect(drawn[index]!.x).toBeCloseTo(run.kl.exact.mean / largestKl(results), 3);
      expect(drawn[index]!.y).toBeCloseTo((winRate - 0.45) / 0.55, 3);
    });
  });

  it('rings a measurement that no policy can reach', async () => {
    const [run, ...others] = results.runs;
    const impossible = {
      ...run!,
      win_rates: run!.win_rates.map((winRate) => ({ ...winRate, mean: 0.99, low: 0.985, high: 0.995 })),
    };
    const sound = await drawFrontierPanel(results, 'standard', 'proxy', palettes.dark);
    const alarming = await drawFrontierPanel(
      { ...results, runs: [impossible, ...others] },
      'standard',
      'proxy',
      palettes.dark,
    );
    expect(sound.svg).not.toContain(palettes.dark.alarm);
    expect(alarming.svg).toContain(`stroke="${palettes.dark.alarm}"`);
  });

  it.each(['light', 'dark'] as const)(
    'stands alone in %s: all procedures, a legend, colours of its own',
    async (theme) => {
      const svg = await renderFrontierFigure(results, { theme });
      expect(svg).toMatch(/^<svg [^>]*xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
      for (const words of [
        'One sample',
        'Best of 4',
        'Worst of 4',
        'PPO, calibrated reward',
        'CTRL, exp 10',
        'CTRL, exp −10',
      ]) {
        expect(svg).toContain(`>${words}</text>`);
      }
      expect(svg).toContain(`fill="${palettes[theme].background}"`);
      expect(svg).not.toContain('var(');
      expect(svg.replaceAll(/xmlns(:xlink)?="[^"]*"/g, '')).not.toMatch(/https?:|href|<script/);
    },
  );

  it('draws a method with several seeds as one line in a band, from the least to the largest seed', async () => {
    const several = withSeeds(results, 3);
    const { svg } = await drawFrontierPanel(several, 'bon:4', 'proxy', palettes.light);
    const colour = palettes.light.series[1]!;
    const bandsOf = (markup: string) =>
      [...markup.matchAll(/"area mark" d="M([^"]+)Z" fill="([^"]+)"/g)].flatMap(([, path, fill]) =>
        fill === colour ? [path!] : [],
      );
    const bands = bandsOf(svg);
    expect(bands).toHaveLength(1);
    const corners = bands[0]!.split('L').map((corner) => corner.split(',').map(Number));
    const curve = [
      { kl: 0, lowest: 0.5, highest: 0.5 },
      ...seedCurves(several, 'bon:4', 'proxy').filter(({ method }) => method === 'ppo/exp:10'),
    ];
    const lowestShown = 0.45;
    const expected = [
      ...curve.map(({ kl, lowest }) => [kl, lowest] as const),
      ...[...curve].reverse().map(({ kl, highest }) => [kl, highest] as const),
    ].map(([kl, winRate]) => [
      (320 * kl) / largestKl(several),
      290 * (1 - (winRate - lowestShown) / (1 - lowestShown)),
    ]);
    expect(corners).toHaveLength(expected.length);
    const sorted = (points: number[][]) => [...points].sort((a, b) => a[0]! - b[0]! || a[1]! - b[1]!);
    sorted(corners).forEach(([x, y], index) => {
      expect(x).toBeCloseTo(sorted(expected)[index]![0]!, 1);
      expect(y).toBeCloseTo(sorted(expected)[index]![1]!, 1);
    });
    expect(markers(svg, colour)).toHaveLength(9);
    // Their intervals would hide it; those of one seed are all there is to show.
    const intervals = (markup: string) => (markup.match(/aria-roledescription="rule mark" /g) ?? []).length;
    const { svg: withOneSeed } = await drawFrontierPanel(results, 'bon:4', 'proxy', palettes.light);
    expect(intervals(svg)).toBe(0);
    expect(intervals(withOneSeed)).toBe(2 * results.runs.length);
    expect(bandsOf(withOneSeed)).toEqual([]);
  });

  it('takes its colours from the page inside the report', async () => {
    const { svg } = await drawFrontierPanel(results, 'standard', 'proxy', pagePalette);
    expect(markers(svg, 'var(--series-0)')).toHaveLength(3);
    expect(svg).not.toMatch(/#[0-9a-f]{6}\b/i);
  });

  it('has the same bytes for the same results', async () => {
    const draw = () => renderFrontierFigure(results, { theme: 'light', scorer: 'judge' });
    expect(await draw()).toBe(await draw());
  });
});
