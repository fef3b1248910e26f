export {
  CalibratedRollout,
  CalibrationState,
  DeadLetter,
  EvaluationResult,
  PolicyVersion,
  Purpose,
  RewardScore,
  SampledRollout,
  SamplingRequest,
  ScoredRollout,
} from './generated/infalign/v1/rollout.js';
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
  PpoLearnerServiceService,
  type PpoLearnerServiceClient,
  type PpoLearnerServiceServer,
} from './generated/infalign/v1/ppo_learner.js';
export {
  RewardScorerServiceService,
  type RewardScorerServiceClient,
  type RewardScorerServiceServer,
} from './generated/infalign/v1/reward_scorer.js';
