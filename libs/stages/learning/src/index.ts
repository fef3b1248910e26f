export {
  learnerName,
  learningWorker,
  policyVersionOf,
  type LearningWorkerOptions,
  type PublishedCheckpoint,
} from './pipeline.js';
export type { ReadPositions } from './rollout-buffer.js';
export {
  createPpoLearner,
  type KlStrength,
  type PpoLearner,
  type PpoLearnerParts,
  type PpoSettings,
  type PpoSnapshot,
} from './ppo-learner.js';
export { learningService, type LearningServiceOptions } from './service.js';
