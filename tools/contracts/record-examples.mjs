import { topics } from '../../libs/rollout-stream/src/topics.ts';
import * as records from '../../libs/rollout-stream/src/records.fixture.ts';

/** @returns {{ topic: import('@infalign/rollout-stream').Topic, record: unknown }[]} a valid record of every topic */
export function recordExamples() {
  return [
    { topic: topics.runs, record: records.run },
    { topic: topics.samplingRequests, record: records.samplingRequest },
    { topic: topics.rolloutSampled, record: records.sampledRollout },
    { topic: topics.rolloutScored, record: records.scoredRollout },
    { topic: topics.rolloutCalibrated, record: records.calibratedRollout },
    { topic: topics.policyVersions, record: records.policyVersion },
    { topic: topics.calibrationState, record: records.calibrationState },
    { topic: topics.calibrationHeld, record: records.heldRollout },
    { topic: topics.calibrationEvents, record: records.calibrationEvent },
    { topic: topics.evaluationResults, record: records.evaluationResult },
  ];
}
