import {
  CalibrationSource,
  Purpose,
  type CalibratedRollout,
  type CalibrationEvent,
  type CalibrationState,
  type EvaluationResult,
  type HeldRollout,
  type PolicyVersion,
  type Run,
  type SampledRollout,
  type SamplingRequest,
  type ScoredRollout,
} from '@infalign/contracts';
import type { Topic } from './topic.js';

/** How a topic of numbers differs from an ordinary one. */
export interface NumberTopicOptions {
  readonly compacted?: boolean;
  readonly permanent?: true;
  /** Whether all numbers are in one partition: that of `oneKey`. Else the key decides. */
  readonly together?: boolean;
}

/** What the partition of topics follows from whose records are all in one. */
export const oneKey = 'all';

/** A topic whose records are numbers, keyed by their remainder modulo 100; not whole ones cannot be decoded. */
export function numberTopic(
  name: string,
  { compacted = false, permanent, together = false }: NumberTopicOptions = {},
): Topic<number> {
  return {
    name,
    compacted,
    ...(permanent && { permanent }),
    codec: {
      encode: (value) => Buffer.from(String(value)),
      decode: (bytes) => {
        const value = Number(Buffer.from(bytes).toString());
        if (!Number.isInteger(value)) throw new Error(`${value} is not a whole number`);
        return value;
      },
    },
    key: (value) => String(value % 100),
    ...(together && { partitionKey: () => oneKey }),
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
  batchId: '3/0',
  batchRequests: 2,
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
  batchId: '3/0',
  batchRollouts: 32,
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
  source: CalibrationSource.CALIBRATION_SOURCE_PROMPT,
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
  rolledBackTo: 0,
};

export const calibrationState: CalibrationState = {
  promptId: 'prompt-1',
  version: 1,
  rewardModelVersion: 'a1',
  references: [-1, 0, 0, 2.5],
  runId: 'run',
  window: [0, 2.5, -1, 0],
  seen: 9,
  baseline: [0, 1],
};

export const heldRollout: HeldRollout = { scored: scoredRollout };

export const calibrationEvent: CalibrationEvent = {
  runId: 'run',
  promptId: 'prompt-1',
  calibrationVersion: 4,
  drift: { distance: 0.5, pValue: 0.001, before: 100, since: 50 },
  rewardModelChange: undefined,
};

export const run: Run = {
  runId: 'run',
  experiment: 'name: example',
  step: 'train',
  checkpoints: 'example',
  basePolicy: { name: 'example/base', contentHash: 'c0' },
  rewardModel: { name: 'example/reward', contentHash: 'a1' },
  judge: undefined,
  text: { name: 'example/text', contentHash: 'd4' },
  referenceRunId: 'references',
  learnFrom: [3, 0],
  scoredFrom: [2, 1],
  evaluatedFrom: [0, 0],
  stopped: false,
  restorations: 0,
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
