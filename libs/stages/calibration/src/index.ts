export { calibrationStage } from './pipeline.js';
export { createReferenceDistributions, type ReferenceDistributions } from './reference-distributions.js';
