export type { LearningAlgorithm } from './algorithms/algorithm.js';
export { learningAlgorithms } from './algorithms/index.js';
export {
  learnerName,
  learningWorker,
  baseOrigin,
  policyVersionOf,
  versionOfIteration,
  type LearningOrigin,
  type LearningWorkerOptions,
  type PublishedCheckpoint,
} from './pipeline.js';
export type { ReadPositions } from './rollout-buffer.js';
export {
  createPolicyLearner,
  type KlStrength,
  type PolicyLearner,
  type PolicyLearnerParts,
  type LearningSettings,
  type LearnerSnapshot,
} from './policy-learner.js';
export { learningService, type LearningServiceOptions } from './service.js';
