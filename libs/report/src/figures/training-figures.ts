import type { ExperimentResults, RunResults } from '../results.js';
import { methodsOf } from '../methods.js';
import { compactNumber, methodTitle } from '../wording.js';
import { drawFigure, type Encoding, type Figure } from './figure.js';
import { type Palette, seriesColours } from './palette.js';

type TrainingField = Exclude<keyof RunResults['training'][number], 'iteration'>;

/** What is shown of training, in this order. */
export const trainingMeasures: readonly { readonly field: TrainingField; readonly title: string }[] = [
  { field: 'kl', title: 'KL from the base policy (nats a response)' },
  { field: 'transformed_reward', title: 'Transformed reward (normalised)' },
  { field: 'calibrated_reward', title: 'Calibrated reward' },
  { field: 'beta', title: 'β (normalised)' },
  { field: 'response_tokens', title: 'Response length (tokens)' },
  { field: 'entropy', title: 'Entropy (nats a token)' },
  { field: 'clip_fraction', title: 'Clipped share of tokens' },
  { field: 'value_loss', title: 'Value loss' },
];

/** More points than this on a line are averaged in groups: a screen shows no more. */
const LARGEST_POINTS = 150;

/** One measure over the iterations of every run; undefined if no run has it. */
export async function drawTrainingFigure(
  results: ExperimentResults,
  field: TrainingField,
  palette: Palette,
): Promise<Figure | undefined> {
  const values = results.runs.flatMap((run) => trainingPoints(run, field));
  if (values.length === 0) return undefined;
  const methods = methodsOf(results).map(methodTitle);
  const targets = [...new Set(results.runs.flatMap((run) => run.target_kl ?? []))];
  const x = {
    field: 'iteration',
    type: 'quantitative',
    title: 'iteration',
    scale: { nice: false },
    axis: { tickCount: 5, format: 'd' },
  } satisfies Encoding['x'];
  const y = {
    field: 'value',
    type: 'quantitative',
    title: null,
    scale: { zero: field === 'kl' || field === 'clip_fraction' || field === 'beta' },
    axis: { tickCount: 5 },
  } satisfies Encoding['y'];
  const color = {
    field: 'method',
    type: 'nominal',
    scale: { domain: methods, range: seriesColours(palette, methods.length) },
    legend: null,
  } satisfies Encoding['color'];
  const detail = { field: 'run' } satisfies Encoding['detail'];
  return drawFigure(
    {
      width: 300,
      height: 170,
      layer: [
        {
          data: { values: field === 'kl' ? targets.map((value) => ({ value })) : [] },
          mark: { type: 'rule', color: palette.muted, strokeDash: [4, 3], strokeWidth: 1, tooltip: false },
          encoding: { y },
        },
        {
          data: { values },
          mark: { type: 'line', strokeWidth: 1.4, strokeJoin: 'round', tooltip: false },
          encoding: {
            x,
            y,
            color,
            detail,
            opacity: { condition: { param: 'focus', value: 1 }, value: 0.12 },
          },
        },
        {
          // A line is hard to hit with the pointer: this one is wide, and cannot be seen.
          data: { values },
          params: [
            { name: 'focus', select: { type: 'point', fields: ['run'], on: 'pointerover', clear: 'pointerout' } },
          ],
          mark: { type: 'line', strokeWidth: 9, opacity: 0 },
          encoding: {
            x,
            y,
            color,
            detail,
            tooltip: [
              { field: 'method', title: 'Trained on' },
              { field: 'strength', title: 'Strength' },
              { field: 'seed', title: 'Seed' },
            ],
          },
        },
      ],
    },
    palette,
  );
}

function trainingPoints(run: RunResults, field: TrainingField) {
  const { target_kl } = run;
  const strength =
    target_kl === null ? `β ${compactNumber(run.beta.normalised)}` : `target KL ${compactNumber(target_kl)} nats`;
  const label = { run: run.name, method: methodTitle(run.method), strength, seed: run.seed };
  const points = run.training.flatMap((one) => {
    const value = one[field];
    return value === null ? [] : [{ iteration: one.iteration, value }];
  });
  return averageInGroups(points).map((point) => ({ ...label, ...point }));
}

function averageInGroups(points: readonly { iteration: number; value: number }[]) {
  const size = Math.ceil(points.length / LARGEST_POINTS);
  return Array.from({ length: Math.ceil(points.length / Math.max(1, size)) }, (_, index) => {
    const group = points.slice(index * size, (index + 1) * size);
    const mean = (pick: (point: { iteration: number; value: number }) => number) =>
      group.reduce((sum, point) => sum + pick(point), 0) / group.length;
    return {
      iteration: Number(mean((point) => point.iteration).toFixed(1)),
      value: Number(mean((point) => point.value).toPrecision(5)),
    };
  });
}
