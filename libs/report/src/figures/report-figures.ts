import type { ExperimentResults, Scorer } from '../results.js';
import { drawBaseModelLoss } from './base-model-figure.js';
import { drawCalibrationCurve, drawErrorOverReferences, drawUniformity } from './calibration-figures.js';
import type { Figure } from './figure.js';
import { drawFrontierPanel } from './frontier-figure.js';
import { pagePalette } from './palette.js';
import { drawTrainingFigure, trainingMeasures } from './training-figures.js';

/** A figure with the words above it. */
export interface TitledFigure {
  readonly title: string;
  readonly figure: Figure;
}

/** Every figure of the report, in the page's colours. */
export interface ReportFigures {
  /** One a procedure, in the order of the results. */
  readonly frontiers: Readonly<Record<Scorer, readonly Figure[]>>;
  readonly calibration: readonly TitledFigure[];
  readonly training: readonly TitledFigure[];
  /** None for a model that was not trained here. */
  readonly baseModel: Figure | undefined;
}

export async function drawReportFigures(results: ExperimentResults): Promise<ReportFigures> {
  const panels = (scorer: Scorer) =>
    Promise.all(results.procedures.map((procedure) => drawFrontierPanel(results, procedure, scorer, pagePalette)));
  const training = await Promise.all(
    trainingMeasures.map(async ({ field, title }) => ({
      title,
      figure: await drawTrainingFigure(results, field, pagePalette),
    })),
  );
  const { calibration } = results;
  return {
    frontiers: { proxy: await panels('proxy'), judge: await panels('judge') },
    calibration: [
      { title: 'Calibration curve', figure: await drawCalibrationCurve(calibration, pagePalette) },
      { title: 'Spread of calibrated rewards', figure: await drawUniformity(calibration, pagePalette) },
      ...(calibration.by_references.length === 0
        ? []
        : [{ title: 'Error over K', figure: await drawErrorOverReferences(calibration, pagePalette) }]),
    ],
    training: training.flatMap(({ title, figure }) => (figure === undefined ? [] : [{ title, figure }])),
    baseModel: results.base_model.training_tokens === 0 ? undefined : await drawBaseModelLoss(results, pagePalette),
  };
}
