export { rolloutProblem, scoredRollouts, type RunScorers, type Scorer } from './batch.js';
export { scoringStage, type ScoringStageOptions } from './pipeline.js';
export { scoringService, type ScoringServiceOptions } from './service.js';
