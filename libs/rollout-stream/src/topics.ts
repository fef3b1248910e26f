import {
  CalibratedRollout,
  CalibrationState,
  DeadLetter,
  EvaluationResult,
  PolicyVersion,
  SampledRollout,
  SamplingRequest,
  ScoredRollout,
} from '@infalign/contracts';
import { protobufCodec } from './codec.js';
import type { Topic } from './topic.js';
import {
  checkCalibratedRollout,
  checkCalibrationState,
  checkDeadLetter,
  checkEvaluationResult,
  checkPolicyVersion,
  checkSampledRollout,
  checkSamplingRequest,
  checkScoredRollout,
} from './validation.js';

/** Work for the policy-sampler. */
const samplingRequests: Topic<SamplingRequest> = {
  name: 'sampling.requests',
  partitions: 1,
  compacted: false,
  codec: protobufCodec(SamplingRequest, checkSamplingRequest),
  key: (request) => request.promptId,
};

/** Responses, from the policy-sampler. */
const rolloutSampled: Topic<SampledRollout> = {
  name: 'rollout.sampled',
  partitions: 1,
  compacted: false,
  codec: protobufCodec(SampledRollout, checkSampledRollout),
  key: (rollout) => rollout.promptId,
};

/** Responses with raw rewards, from the reward-scorer. */
const rolloutScored: Topic<ScoredRollout> = {
  name: 'rollout.scored',
  partitions: 1,
  compacted: false,
  codec: protobufCodec(ScoredRollout, checkScoredRollout),
  key: (scored) => scored.rollout!.promptId,
};

/** Responses with calibrated and transformed rewards, from the calibrator. */
const rolloutCalibrated: Topic<CalibratedRollout> = {
  name: 'rollout.calibrated',
  partitions: 1,
  compacted: false,
  codec: protobufCodec(CalibratedRollout, checkCalibratedRollout),
  key: (calibrated) => calibrated.scored!.rollout!.promptId,
};

/** Policies that samplers may use, from the PPO learner. */
const policyVersions: Topic<PolicyVersion> = {
  name: 'policy.versions',
  partitions: 1,
  compacted: false,
  codec: protobufCodec(PolicyVersion, checkPolicyVersion),
  key: (version) => version.runId,
};

/** Each prompt's reference distribution, from the calibrator: a table by prompt id. */
const calibrationState: Topic<CalibrationState> = {
  name: 'calibration.state',
  partitions: 1,
  compacted: true,
  codec: protobufCodec(CalibrationState, checkCalibrationState),
  key: (state) => state.promptId,
};

/** What the evaluator measured. */
const evaluationResults: Topic<EvaluationResult> = {
  name: 'evaluation.results',
  partitions: 1,
  compacted: false,
  codec: protobufCodec(EvaluationResult, checkEvaluationResult),
  key: (result) => result.promptId,
};

/** Every topic of the pipeline; each has a dead-letter topic beside it. */
export const topics = {
  samplingRequests,
  rolloutSampled,
  rolloutScored,
  rolloutCalibrated,
  policyVersions,
  calibrationState,
  evaluationResults,
};

/** Where records of a topic go that could not be decoded: `TOPIC.dead-letter`, with the reason. */
export function deadLetterTopic(topic: Topic): Topic<DeadLetter> {
  return {
    name: `${topic.name}.dead-letter`,
    partitions: 1,
    compacted: false,
    codec: protobufCodec(DeadLetter, checkDeadLetter),
    key: (letter) => `${letter.topic}/${letter.partition}/${letter.offset}`,
  };
}
