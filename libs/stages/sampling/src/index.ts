export { sampledRollouts } from './batch.js';
export { samplingStage, type SamplingStageOptions } from './pipeline.js';
export { requestProblem } from './request-problem.js';
export { samplingService, type SamplingServiceOptions } from './service.js';
