import type { ExperimentResults } from '../results.js';
import { drawFigure, type Encoding, type Figure } from './figure.js';
import { type Palette, seriesColours } from './palette.js';

const WIDTH = 300;
const HEIGHT = 220;

type Calibration = ExperimentResults['calibration'];

/** Share of calibrated rewards below each level, with the diagonal that perfect calibration follows. */
export function drawCalibrationCurve({ curve }: Calibration, palette: Palette): Promise<Figure> {
  const x = {
    field: 'nominal',
    type: 'quantitative',
    title: 'quantile level',
    scale: { domain: [0, 1] },
    axis: { tickCount: 5 },
  } satisfies Encoding['x'];
  const y = {
    field: 'empirical',
    type: 'quantitative',
    title: 'share of base rollouts below',
    scale: { domain: [0, 1] },
    axis: { tickCount: 5 },
  } satisfies Encoding['y'];
  const [colour] = seriesColours(palette, 1) as [string];
  return drawFigure(
    {
      width: WIDTH,
      height: HEIGHT,
      layer: [
        {
          data: {
            values: [
              { nominal: 0, empirical: 0 },
              { nominal: 1, empirical: 1 },
            ],
          },
          mark: { type: 'line', color: palette.ink, strokeWidth: 1.2, strokeDash: [4, 3], tooltip: false },
          encoding: { x, y },
        },
        { data: { values: curve }, mark: { type: 'line', color: colour, strokeWidth: 2 }, encoding: { x, y } },
        {
          data: { values: curve },
          mark: { type: 'point', opacity: 0, size: 120 },
          encoding: {
            x,
            y,
            tooltip: [
              { field: 'nominal', title: 'Level', format: '.2f' },
              { field: 'empirical', title: 'Share below', format: '.3f' },
            ],
          },
        },
      ],
    },
    palette,
  );
}

/** How the calibrated rewards of fresh base rollouts are spread: even, if calibration is perfect. */
export function drawUniformity({ histogram }: Calibration, palette: Palette): Promise<Figure> {
  const bins = histogram.length;
  const values = histogram.map((share, index) => ({ from: index / bins, to: (index + 1) / bins, share }));
  const [colour] = seriesColours(palette, 1) as [string];
  return drawFigure(
    {
      width: WIDTH,
      height: HEIGHT,
      layer: [
        {
          data: { values },
          mark: { type: 'bar', color: colour, opacity: 0.8, binSpacing: 1 },
          encoding: {
            x: {
              field: 'from',
              bin: { binned: true, step: 1 / bins },
              title: 'calibrated reward',
              scale: { domain: [0, 1] },
              axis: { values: [0, 0.25, 0.5, 0.75, 1] },
            },
            x2: { field: 'to' },
            y: {
              field: 'share',
              type: 'quantitative',
              title: 'share of base rollouts',
              axis: { format: '.0%', tickCount: 4 },
            },
            tooltip: [
              { field: 'from', title: 'From', format: '.2f' },
              { field: 'to', title: 'To', format: '.2f' },
              { field: 'share', title: 'Share', format: '.2%' },
            ],
          },
        },
        {
          data: { values: [{ share: 1 / bins }] },
          mark: { type: 'rule', color: palette.ink, strokeDash: [4, 3], strokeWidth: 1.2, tooltip: false },
          encoding: { y: { field: 'share', type: 'quantitative' } },
        },
      ],
    },
    palette,
  );
}

/** Both distances from the uniform distribution, over the number of reference rollouts. */
export function drawErrorOverReferences({ by_references }: Calibration, palette: Palette): Promise<Figure> {
  const names = ['Kolmogorov–Smirnov distance', 'mean absolute error'];
  const values = by_references.flatMap(({ references, kolmogorov_smirnov, mean_absolute_error }) => [
    { references, measure: names[0], error: kolmogorov_smirnov },
    { references, measure: names[1], error: mean_absolute_error },
  ]);
  return drawFigure(
    {
      width: WIDTH,
      height: HEIGHT,
      data: { values },
      mark: { type: 'line', point: { size: 45 }, strokeWidth: 1.8 },
      encoding: {
        x: {
          field: 'references',
          type: 'quantitative',
          title: 'reference rollouts a prompt, K',
          scale: { type: 'log', nice: false },
          axis: { values: by_references.map(({ references }) => references), labelOverlap: 'greedy' },
        },
        y: {
          field: 'error',
          type: 'quantitative',
          title: 'distance from uniform',
          scale: { zero: true },
          axis: { tickCount: 5 },
        },
        color: {
          field: 'measure',
          type: 'nominal',
          scale: { domain: names, range: seriesColours(palette, 2) },
          legend: { orient: 'top-right', title: null, symbolType: 'stroke', symbolStrokeWidth: 2 },
        },
        tooltip: [
          { field: 'references', title: 'K' },
          { field: 'measure', title: 'Measure' },
          { field: 'error', title: 'Distance', format: '.4f' },
        ],
      },
    },
    palette,
  );
}
