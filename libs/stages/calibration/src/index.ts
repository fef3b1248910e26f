export { calibratedRollout, calibratedRollouts, fittedStates } from './batch.js';
export { pooledBasis, promptBasis, type CalibrationBasis } from './calibration-basis.js';
export type { CalibrationRun, ReferenceSettings, RewardCalibration, TrainingCalibration } from './calibration-run.js';
export { calibrationStage, type CalibrationStageOptions, type MeasuredRollouts } from './pipeline.js';
export { calibrationState, referenceDistribution, type ReferenceDistribution } from './reference-distribution.js';
export { calibrationService, type CalibrationServiceOptions, type PromptOfRun } from './service.js';
