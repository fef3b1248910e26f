export { evaluationStage, type EvaluationStageOptions } from './pipeline.js';
export { evaluationResult } from './batch.js';
