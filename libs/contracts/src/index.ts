export { fileDescriptorSet } from './generated/descriptors.js';
export {
  CalibratedRollout,
  CalibrationDrift,
  CalibrationEvent,
  CalibrationSource,
  CalibrationState,
  DeadLetter,
  EvaluationResult,
  HeldRollout,
  PolicyVersion,
  Purpose,
  RewardModelChange,
  RewardScore,
  SampledRollout,
  SamplingRequest,
  ScoredRollout,
} from './generated/infalign/v1/rollout.js';
export { CheckpointReference, Run } from './generated/infalign/v1/run.js';
export {
  CalibratorServiceService,
  type CalibratorServiceClient,
  type CalibratorServiceServer,
} from './generated/infalign/v1/calibrator.js';
export {
  EvaluatorServiceService,
  type EvaluatorServiceClient,
  type EvaluatorServiceServer,
} from './generated/infalign/v1/evaluator.js';
export {
  PolicySamplerServiceService,
  type PolicySamplerServiceClient,
  type PolicySamplerServiceServer,
} from './generated/infalign/v1/policy_sampler.js';
export {
  LearningStatistics,
  RunState,
  StartRunRequest,
  PpoLearnerServiceService,
  type PpoLearnerServiceClient,
  type PpoLearnerServiceServer,
} from './generated/infalign/v1/ppo_learner.js';
export {
  RewardModel,
  RewardScorerServiceService,
  type RewardScorerServiceClient,
  type RewardScorerServiceServer,
} from './generated/infalign/v1/reward_scorer.js';
