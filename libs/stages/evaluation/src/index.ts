export { evaluationResult } from './batch.js';
export {
  evaluationRequestStage,
  evaluationStage,
  type EvaluationRequestStageOptions,
  type EvaluationStageOptions,
  type MeasuredPolicy,
} from './pipeline.js';
export { evaluationService, type EvaluationServiceOptions } from './service.js';
