export {
  checkpointNames,
  experimentId,
  policyRuns,
  runIdOf,
  stepNames,
  strengthOf,
  type PolicyRun,
} from './experiment-steps.js';
export { criticOf, learningHistory } from './learner-checkpoint.js';
export { learningRun, type LearningRun, type LearningRunOptions } from './learning-run.js';
export { createModelCache, type ModelCache } from './model-cache.js';
export { pipelineRun, type PipelineRun } from './pipeline-run.js';
export { evaluationRequests, firstRequests, trainingRequests, type Prompts } from './run-requests.js';
export { followRuns, type Runs } from './runs.js';
export {
  assembleCalibration,
  assembleEvaluation,
  assembleSampling,
  assembleScoring,
  runScorers,
  type StageParts,
} from './stages.js';
export { backUp, parseBackup, type Backup } from './backup.js';
export { restoreRuns, type RestoredRun } from './restore-runs.js';
export { rollBack } from './roll-back.js';
export { startRun, type RunToStart } from './start-run.js';
export { modelOf, readModel, storeModel, type StoredModel } from './stored-model.js';
export { readText, storeText, textOf, type StoredText } from './stored-text.js';
export { untilCommitted } from './until-committed.js';
