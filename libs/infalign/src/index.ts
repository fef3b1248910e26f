export type { Arithmetic, Operand } from './arithmetic.js';
export { bootstrapMean, bootstrapMeanDifference, type BootstrapInterval, type BootstrapOptions } from './bootstrap.js';
export { bestOfWinRateEstimator, samplesForBestOf } from './best-of-win-rate.js';
export {
  calibrateLeaveOneOut,
  calibrateReward,
  countTies,
  calibrationCurve,
  calibrationQuality,
  sortedReferences,
  type CalibrationCurve,
  type CalibrationQuality,
} from './calibration.js';
export { alignedPolicy, type AlignedPolicy } from './aligned-policy.js';
export {
  bestOfPolicy,
  betaForKl,
  frontierCurve,
  frontierPoint,
  optimalTransformation,
  type BestOfPolicy,
  type FrontierPoint,
  type Strength,
} from './frontier.js';
export { InputError } from './input-error.js';
export { estimateKl, type KlEstimate } from './kl-estimate.js';
export { kolmogorovSmirnovDistance, kolmogorovSmirnovPValue } from './kolmogorov-smirnov.js';
export { mean } from './mean.js';
export {
  compareAtKls,
  MATCHED_KL_REACH,
  type EstimateInterval,
  type MatchedKlOptions,
  type MatchedMethods,
  type MeasuredPolicy,
  type MethodAtKl,
} from './matched-kl.js';
export { algorithms, parseMethod, rewardOfMethod, type Algorithm, type Method, type MethodReward } from './method.js';
export { largestKlOfRewards, optimumOnRewards, type OptimumOnRewards } from './optimum-on-rewards.js';
export {
  bestOf,
  kthBestOf,
  mixtureOf,
  parseProcedure,
  standardProcedure,
  worstOf,
  type OrderStatistic,
  type Procedure,
} from './procedure.js';
export { seededRandom, shuffled, type RandomSource } from './random.js';
export {
  exponentialBias,
  exponentialTransformation,
  identityTransformation,
  logTransformation,
  normalisedBeta,
  rawBeta,
  transformEstimate,
  type Transformation,
} from './transformation.js';
export { parseTransformation } from './parse-transformation.js';
export { theory } from './theory.js';
export { winRateEstimator } from './win-rate.js';
