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
