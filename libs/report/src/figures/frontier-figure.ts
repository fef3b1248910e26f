import { bestOfPolicy, parseProcedure } from '@infalign/core';
import type { TopLevelSpec } from 'vega-lite';
import { assessRun, curveAt } from '../assessment.js';
import type { CurvePoint, ExperimentResults, Scorer } from '../results.js';
import { hasEstimatedOptimum, hasSeveralSeeds, methodsOf } from '../methods.js';
import { listed, percent, procedureTitle, methodTitle } from '../wording.js';
import { drawFigure, type Encoding, type Figure, type LayeredSpec } from './figure.js';
import { type Palette, palettes, seriesColours, seriesMarkers, type Theme } from './palette.js';
import { seedCurves, type SeedPoint } from './seed-curves.js';

const WIDTH = 320;
const HEIGHT = 290;
const BAND_OPACITY = 0.2;
const CROSS = 'M-1,-1L1,1M1,-1L-1,1';

/** The picture of the whole claim for one procedure: win rate over KL, measured and exact. */
export function drawFrontierPanel(
  results: ExperimentResults,
  procedure: string,
  scorer: Scorer,
  palette: Palette,
): Promise<Figure> {
  return drawFigure({ ...frontierPanel(results, procedure, scorer, palette, false), autosize: 'pad' }, palette);
}

/**
 * The frontier picture as a standalone SVG with its own title and legend, for documentation: one panel a procedure.
 *
 * @param options.theme colours
 * @param options.scorer whose win rates; the proxy's if not given
 */
export async function renderFrontierFigure(
  results: ExperimentResults,
  options: { theme: Theme; scorer?: Scorer },
): Promise<string> {
  const { theme, scorer = 'proxy' } = options;
  const palette = palettes[theme];
  const reached = results.procedures.map((procedure) => procedureTitle(procedure).toLowerCase());
  const specification: TopLevelSpec = {
    padding: 16,
    title: {
      text: `Win rate over the base policy against the KL it costs, by the ${scorer}: ${listed(reached)}`,
      subtitle: [
        'Solid: the exact frontier, which no policy can exceed. Dashed: the exact optimum of each method' +
          (hasEstimatedOptimum(results) ? ', of the raw reward an estimate.' : '.'),
        hasSeveralSeeds(results)
          ? 'Points: trained policies on held-out prompts; bands from the least to the largest of their seeds. ' +
            'Crosses: best of n samples of the base policy.'
          : 'Points: trained policies on held-out prompts, with 95 % intervals. Crosses: best of n samples of the base policy.',
      ],
    },
    hconcat: results.procedures.map((procedure) => frontierPanel(results, procedure, scorer, palette, true)),
    resolve: { scale: { color: 'shared', shape: 'shared', x: 'shared', y: 'shared' } },
  };
  return (await drawFigure(specification, palette)).svg;
}

function frontierPanel(
  results: ExperimentResults,
  procedure: string,
  scorer: Scorer,
  palette: Palette,
  standalone: boolean,
): Pick<LayeredSpec, 'width' | 'height' | 'title' | 'layer'> {
  const domain = axisDomains(results);
  const methods = methodsOf(results).map(methodTitle);
  const measured = measuredPoints(results, procedure, scorer);
  const curves = curvesFromBasePolicy(seedCurves(results, procedure, scorer));
  // Where seeds show how much a run is worth, intervals of each would only hide the bands; the pointer tells them.
  const withInterval = hasSeveralSeeds(results) ? [] : measured;
  const frontier = pointsUpTo(pointsOf(results.frontiers, procedure), domain.kl);
  const roomForWords = (curveAt(frontier, domain.kl * 0.33) ?? 1) < 0.94;
  const legend = standalone ? ({ title: 'Trained on', orient: 'bottom', symbolOpacity: 1 } as const) : null;
  const x = {
    field: 'kl',
    type: 'quantitative',
    title: 'KL from the base policy (nats a response)',
    scale: { domain: [0, domain.kl], nice: false },
    axis: { tickCount: 5 },
  } satisfies Encoding['x'];
  const y = {
    field: 'win_rate',
    type: 'quantitative',
    title: 'win rate',
    scale: { domain: [domain.lowest, 1], nice: false },
    axis: { format: '.0%', tickCount: 6 },
  } satisfies Encoding['y'];
  const color = {
    field: 'method',
    type: 'nominal',
    scale: { domain: methods, range: seriesColours(palette, methods.length) },
    legend,
  } satisfies Encoding['color'];
  const shape = {
    field: 'method',
    type: 'nominal',
    scale: { domain: methods, range: methods.map((_, index) => seriesMarkers[index % seriesMarkers.length]!.shape) },
    legend,
  } satisfies Encoding['shape'];
  const focusTo = (opacity: number) =>
    standalone ? {} : { opacity: { condition: { param: 'focus', value: opacity }, value: 0.15 * opacity } };
  const focus = focusTo(1);
  return {
    width: WIDTH,
    height: HEIGHT,
    ...(standalone ? { title: procedureTitle(procedure) } : {}),
    layer: [
      {
        data: { values: frontier },
        mark: { type: 'area', color: palette.ink, opacity: 0.06, line: false, tooltip: false },
        encoding: { x, y, y2: { datum: 1 } },
      },
      {
        data: { values: roomForWords ? [{ kl: domain.kl * 0.015, win_rate: 1 }] : [] },
        mark: {
          type: 'text',
          text: 'out of reach',
          align: 'left',
          baseline: 'top',
          dy: 6,
          fontStyle: 'italic',
          tooltip: false,
        },
        encoding: { x, y },
      },
      {
        data: {
          values: [
            { kl: 0, win_rate: 0.5 },
            { kl: domain.kl, win_rate: 0.5 },
          ],
        },
        mark: { type: 'line', color: palette.muted, strokeWidth: 1, strokeDash: [1, 3], tooltip: false },
        encoding: { x, y },
      },
      {
        data: { values: methodCurves(results, procedure, domain.kl) },
        mark: { type: 'line', strokeWidth: 1.2, strokeDash: [4, 3], tooltip: false },
        encoding: { x, y, color, ...focus },
      },
      {
        data: { values: frontier },
        mark: { type: 'line', color: palette.ink, strokeWidth: 2, tooltip: false },
        encoding: { x, y },
      },
      {
        data: { values: basePolicies(procedure, domain) },
        mark: { type: 'point', shape: CROSS, size: 34, color: palette.muted, strokeWidth: 1.3 },
        encoding: { x, y, tooltip: [{ field: 'label', title: 'Base policy' }, ...exactTooltip] },
      },
      {
        data: { values: curves.filter(({ several }) => several) },
        mark: { type: 'area', opacity: BAND_OPACITY, line: false, tooltip: false },
        encoding: { x, y: { ...y, field: 'lowest' }, y2: { field: 'highest' }, color, ...focusTo(BAND_OPACITY) },
      },
      {
        data: { values: curves },
        mark: { type: 'line', strokeWidth: 1.6, tooltip: false },
        encoding: { x, y, color, ...focus },
      },
      {
        data: { values: withInterval },
        mark: { type: 'rule', strokeWidth: 1.5, tooltip: false },
        encoding: { x: { ...x, field: 'kl_low' }, x2: { field: 'kl_high' }, y, color, ...focus },
      },
      {
        data: { values: withInterval },
        mark: { type: 'rule', strokeWidth: 1.5, tooltip: false },
        encoding: { x, y: { ...y, field: 'low' }, y2: { field: 'high' }, color, ...focus },
      },
      {
        data: { values: measured.filter((point) => point.above) },
        mark: { type: 'point', shape: 'circle', size: 420, filled: false, strokeWidth: 3, color: palette.alarm },
        encoding: { x, y },
      },
      {
        data: { values: measured },
        ...(standalone
          ? {}
          : {
              params: [
                {
                  name: 'focus',
                  select: { type: 'point', fields: ['method'], on: 'pointerover', clear: 'pointerout' },
                } as const,
              ],
            }),
        mark: { type: 'point', filled: true, size: 46, opacity: 1 },
        encoding: { x, y, color, shape, tooltip: measuredTooltip, ...focus },
      },
    ],
  };
}

const exactTooltip = [
  { field: 'kl', title: 'KL', format: '.3f' },
  { field: 'win_rate', title: 'Win rate', format: '.1%' },
];

const measuredTooltip = [
  { field: 'method', title: 'Trained on' },
  { field: 'seed', title: 'Seed' },
  { field: 'kl_text', title: 'KL' },
  { field: 'win_rate_text', title: 'Win rate' },
  { field: 'frontier_text', title: 'Frontier there' },
  { field: 'efficiency_text', title: 'Efficiency' },
];

function measuredPoints(results: ExperimentResults, procedure: string, scorer: Scorer) {
  return results.runs.flatMap((run) =>
    assessRun(results, run)
      .filter((one) => one.procedure === procedure && one.scorer === scorer)
      .map(({ winRate, frontier, efficiency, aboveFrontier }) => ({
        method: methodTitle(run.method),
        seed: run.seed,
        kl: run.kl.exact.mean,
        kl_low: run.kl.exact.low,
        kl_high: run.kl.exact.high,
        win_rate: winRate.mean,
        low: winRate.low,
        high: winRate.high,
        above: aboveFrontier,
        kl_text: `${run.kl.exact.mean.toFixed(3)} (${run.kl.exact.low.toFixed(3)} to ${run.kl.exact.high.toFixed(3)}) nats`,
        win_rate_text: `${percent(winRate.mean)} (${percent(winRate.low)} to ${percent(winRate.high)})`,
        frontier_text: frontier === undefined ? 'not known' : percent(frontier),
        efficiency_text: efficiency === undefined ? 'not known' : efficiency.toFixed(2),
      })),
  );
}

/** Each method's curve, from the base policy on, and whether it has several seeds somewhere. */
function curvesFromBasePolicy(points: readonly SeedPoint[]) {
  const methods = [...new Set(points.map(({ method }) => method))];
  return methods.flatMap((method) => {
    const own = points.filter((point) => point.method === method);
    const start = { kl: 0, win_rate: 0.5, lowest: 0.5, highest: 0.5 };
    const several = own.some(({ seeds }) => seeds > 1);
    return [start, ...own].map(({ kl, win_rate, lowest, highest }) => {
      return { method: methodTitle(method), several, kl, win_rate, lowest, highest };
    });
  });
}

function methodCurves(results: ExperimentResults, procedure: string, largestKl: number) {
  const known = new Set(methodsOf(results));
  return results.method_curves
    .filter((curve) => curve.procedure === procedure && known.has(curve.method))
    .flatMap(({ method, points }) =>
      pointsUpTo(points, largestKl).map((point) => ({ ...point, method: methodTitle(method) })),
    );
}

function basePolicies(procedure: string, domain: { kl: number; lowest: number }) {
  return [2, 4, 8, 16, 32, 64, 128].flatMap((n) => {
    const { kl, winRate } = bestOfPolicy(n, parseProcedure(procedure));
    const visible = kl <= domain.kl && winRate >= domain.lowest;
    return visible ? [{ kl, win_rate: winRate, label: `best of ${n} samples` }] : [];
  });
}

function pointsOf(curves: ExperimentResults['frontiers'], procedure: string): readonly CurvePoint[] {
  return curves.find((curve) => curve.procedure === procedure)?.points ?? [];
}

/** The part of a curve that a panel shows, cut where the panel ends. */
function pointsUpTo(points: readonly CurvePoint[], largestKl: number): CurvePoint[] {
  const inside = points.filter((point) => point.kl < largestKl).map(({ kl, win_rate }) => ({ kl, win_rate }));
  const end = curveAt(points, largestKl);
  return end === undefined ? inside : [...inside, { kl: largestKl, win_rate: end }];
}

/** The same axes in all panels, so that the eye can compare them. */
function axisDomains(results: ExperimentResults): { kl: number; lowest: number } {
  const largestKl = Math.max(0.1, ...results.runs.map((run) => run.kl.exact.high));
  const lowest = Math.min(0.5, ...results.runs.flatMap((run) => run.win_rates.map((winRate) => winRate.low)));
  return { kl: largestKl * 1.06, lowest: Math.max(0, Math.floor(lowest * 20 - 0.2) / 20) };
}
