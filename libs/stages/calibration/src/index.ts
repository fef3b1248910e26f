export { calibrationStage, type CalibrationStageOptions } from './pipeline.js';
export { createReferenceDistributions, type ReferenceDistributions } from './reference-distributions.js';
