import {
  Purpose,
  type CalibratedRollout,
  type CalibrationState,
  type EvaluationResult,
  type PolicyVersion,
  type SampledRollout,
  type SamplingRequest,
  type ScoredRollout,
} from '@infalign/contracts';
import type { Topic } from './topic.js';

/** A topic whose records are numbers, keyed by their remainder modulo 100; not whole ones cannot be decoded. */
export function numberTopic(name: string, partitions = 1, compacted = false): Topic<number> {
  return {
    name,
    partitions,
    compacted,
    codec: {
      encode: (value) => Buffer.from(String(value)),
      decode: (bytes) => {
        const value = Number(Buffer.from(bytes).toString());
        if (!Number.isInteger(value)) throw new Error(`${value} is not a whole number`);
        return value;
      },
    },
    key: (value) => String(value % 100),
  };
}

export const samplingRequest: SamplingRequest = {
  requestId: 'request-1',
  runId: 'run',
  promptId: 'prompt-1',
  promptTokens: [5, 6, 7],
  purpose: Purpose.PURPOSE_TRAINING,
  policyVersion: 3,
  firstSampleIndex: 16,
  samples: 16,
  seed: 7,
  temperature: 0.7,
  topK: 0,
  topP: 1,
  maxResponseTokens: 20,
};

export const sampledRollout: SampledRollout = {
  rolloutId: 'run/prompt-1/3/16',
  runId: 'run',
  promptId: 'prompt-1',
  purpose: Purpose.PURPOSE_TRAINING,
  policyVersion: 3,
  sampleIndex: 16,
  seed: 7,
  promptTokens: [5, 6, 7],
  responseTokens: [1, 2],
  logProbs: [-0.5, 0],
  ended: true,
  temperature: 0.7,
};

export const scoredRollout: ScoredRollout = {
  rollout: sampledRollout,
  reward: { model: 'proxy', modelVersion: 'a1', reward: -1.25 },
  judge: { model: 'judge', modelVersion: 'b2', reward: 3.5 },
};

export const calibratedRollout: CalibratedRollout = {
  scored: { ...scoredRollout, judge: undefined },
  calibratedReward: 0.995,
  transformedReward: 1.5,
  transformation: 'exp:10',
  calibrationVersion: 2,
  references: 100,
};

export const policyVersion: PolicyVersion = {
  runId: 'run',
  version: 3,
  checkpoint: 'policy/3',
  contentHash: 'c3',
  iteration: 3,
  beta: 0.4,
  observedKl: -0.01,
  targetKl: 0,
  final: false,
};

export const calibrationState: CalibrationState = {
  promptId: 'prompt-1',
  version: 1,
  rewardModelVersion: 'a1',
  references: [-1, 0, 0, 2.5],
};

export const evaluationResult: EvaluationResult = {
  runId: 'run',
  policyVersion: 3,
  promptId: 'prompt-1',
  rewards: [1, 2],
  judgeRewards: [0, -1],
  klExact: 0.5,
  klK1: -0.1,
  klK3: 0.2,
  responseTokens: 19.5,
};
