import type { ExperimentResults } from '../results.js';
import { drawFigure, type Figure } from './figure.js';
import { type Palette, seriesColours } from './palette.js';

/** Training and validation loss of the base model over its optimiser steps. */
export function drawBaseModelLoss({ base_model }: ExperimentResults, palette: Palette): Promise<Figure> {
  const names = ['training', 'validation'];
  const values = [
    ...base_model.training_loss.map((point) => ({ ...point, text: names[0] })),
    ...base_model.validation_loss.map((point) => ({ ...point, text: names[1] })),
  ];
  return drawFigure(
    {
      width: 420,
      height: 220,
      data: { values },
      mark: { type: 'line', strokeWidth: 1.8, point: { size: 18 } },
      encoding: {
        x: {
          field: 'step',
          type: 'quantitative',
          title: 'optimiser step',
          scale: { nice: false },
          axis: { tickCount: 6 },
        },
        y: {
          field: 'loss',
          type: 'quantitative',
          title: 'loss (nats a token)',
          scale: { zero: false },
          axis: { tickCount: 5 },
        },
        color: {
          field: 'text',
          type: 'nominal',
          scale: { domain: names, range: seriesColours(palette, 2) },
          legend: { orient: 'top-right', title: null, symbolType: 'stroke', symbolStrokeWidth: 2 },
        },
        tooltip: [
          { field: 'text', title: 'Loss' },
          { field: 'step', title: 'Step' },
          { field: 'loss', title: 'Nats a token', format: '.3f' },
        ],
      },
    },
    palette,
  );
}
