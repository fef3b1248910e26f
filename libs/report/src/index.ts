export { assessRun, pointsAboveFrontier, type Assessment, type PointAboveFrontier } from './assessment.js';
export { matchMethods, type ComparisonRow, type MatchedResults, type MethodRow } from './matched-methods.js';
export { drawFigure, type Figure } from './figures/figure.js';
export { renderFrontierFigure } from './figures/frontier-figure.js';
export { palettes, seriesColours, type Palette, type Theme } from './figures/palette.js';
export { BEST_OF_N, resultRows, type ResultRow } from './result-rows.js';
export { renderReport } from './render-report.js';
export {
  experimentResultsSchema,
  RESULTS_SCHEMA_VERSION,
  type CurvePoint,
  type ExperimentResults,
  type Interval,
  type RunResults,
  type Scorer,
  type WinRateResult,
} from './results.js';
export { formatResults, parseResults } from './results-file.js';
