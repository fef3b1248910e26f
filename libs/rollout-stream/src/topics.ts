import {
  CalibratedRollout,
  CalibrationEvent,
  CalibrationState,
  DeadLetter,
  EvaluationResult,
  HeldRollout,
  PolicyVersion,
  Run,
  SampledRollout,
  SamplingRequest,
  ScoredRollout,
} from '@infalign/contracts';
import { protobufCodec } from './codec.js';
import type { Topic } from './topic.js';
import {
  checkCalibratedRollout,
  checkCalibrationEvent,
  checkCalibrationState,
  checkDeadLetter,
  checkEvaluationResult,
  checkHeldRollout,
  checkPolicyVersion,
  checkRun,
  checkSampledRollout,
  checkSamplingRequest,
  checkScoredRollout,
} from './validation.js';

/** The runs that services work on: a table by run id. */
const runs: Topic<Run> = {
  name: 'runs',
  compacted: true,
  codec: protobufCodec(Run, checkRun),
  key: (run) => run.runId,
};

/** Work for the policy-sampler. */
const samplingRequests: Topic<SamplingRequest> = {
  name: 'sampling.requests',
  compacted: false,
  codec: protobufCodec(SamplingRequest, checkSamplingRequest),
  key: (request) => request.promptId,
  batchKey: ({ runId, batchId }) => JSON.stringify([runId, batchId]),
};

/** Responses, from the policy-sampler. */
const rolloutSampled: Topic<SampledRollout> = {
  name: 'rollout.sampled',
  compacted: false,
  codec: protobufCodec(SampledRollout, checkSampledRollout),
  key: (rollout) => rollout.promptId,
};

/** Responses with raw rewards, from the reward-scorer. */
const rolloutScored: Topic<ScoredRollout> = {
  name: 'rollout.scored',
  compacted: false,
  codec: protobufCodec(ScoredRollout, checkScoredRollout),
  key: (scored) => scored.rollout!.promptId,
};

/** Responses with calibrated and transformed rewards, from the calibrator. */
const rolloutCalibrated: Topic<CalibratedRollout> = {
  name: 'rollout.calibrated',
  compacted: false,
  codec: protobufCodec(CalibratedRollout, checkCalibratedRollout),
  key: (calibrated) => calibrated.scored!.rollout!.promptId,
};

/** Policies that samplers may use, from the PPO learner. */
const policyVersions: Topic<PolicyVersion> = {
  name: 'policy.versions',
  compacted: false,
  permanent: true,
  codec: protobufCodec(PolicyVersion, checkPolicyVersion),
  key: (version) => version.runId,
};

/** Each prompt's reference distribution, from the calibrator: a table by run and prompt id. */
const calibrationState: Topic<CalibrationState> = {
  name: 'calibration.state',
  compacted: true,
  codec: protobufCodec(CalibrationState, checkCalibrationState),
  key: (state) => calibrationKey(state.runId, state.promptId),
  partitionKey: (state) => state.promptId,
};

/** Rollouts that the calibrator holds until there are references of their prompt: a table by rollout id. */
const calibrationHeld: Topic<HeldRollout> = {
  name: 'calibration.held',
  compacted: true,
  codec: protobufCodec(HeldRollout, checkHeldRollout),
  key: (held) => held.scored!.rollout!.rolloutId,
  partitionKey: (held) => held.scored!.rollout!.promptId,
};

/** Drift, and changes of the reward model, from the calibrator. */
const calibrationEvents: Topic<CalibrationEvent> = {
  name: 'calibration.events',
  compacted: false,
  permanent: true,
  codec: protobufCodec(CalibrationEvent, checkCalibrationEvent),
  key: (event) => calibrationKey(event.runId, event.promptId),
  partitionKey: (event) => event.promptId,
};

/** What the evaluator measured. */
const evaluationResults: Topic<EvaluationResult> = {
  name: 'evaluation.results',
  compacted: false,
  codec: protobufCodec(EvaluationResult, checkEvaluationResult),
  key: (result) => result.promptId,
};

/** The key of a prompt's reference distribution: the run that sampled the references, and the prompt. */
export function calibrationKey(runId: string, promptId: string): string {
  return `${runId}/${promptId}`;
}

/** Every topic of the pipeline; each has a dead-letter topic beside it. */
export const topics = {
  runs,
  samplingRequests,
  rolloutSampled,
  rolloutScored,
  rolloutCalibrated,
  policyVersions,
  calibrationState,
  calibrationHeld,
  calibrationEvents,
  evaluationResults,
};

const deadLetterSuffix = '.dead-letter';

/** Whether a topic holds what could not be used. */
export function isDeadLetterTopic(topic: Topic): boolean {
  return topic.name.endsWith(deadLetterSuffix);
}

/** Where records of a topic go that could not be decoded: `TOPIC.dead-letter`, with the reason. */
export function deadLetterTopic(topic: Topic): Topic<DeadLetter> {
  return {
    name: `${topic.name}${deadLetterSuffix}`,
    compacted: false,
    codec: protobufCodec(DeadLetter, checkDeadLetter),
    key: (letter) => `${letter.topic}/${letter.partition}/${letter.offset}`,
  };
}

/** Every topic, those of dead letters included. */
export function allTopics(): Topic[] {
  return Object.values<Topic>(topics).flatMap((topic) => [topic, deadLetterTopic(topic)]);
}
