import { CalibratedRollout, Purpose, SampledRollout } from '@infalign/contracts';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as records from './records.fixture.js';
import { deadLetterTopic, topics } from './topics.js';
import { partitionOf, partitionOfKey, removal, type Topic } from './topic.js';

const examples: [Topic, unknown][] = [
  [topics.samplingRequests, records.samplingRequest],
  [topics.rolloutSampled, records.sampledRollout],
  [topics.rolloutScored, records.scoredRollout],
  [topics.rolloutCalibrated, records.calibratedRollout],
  [topics.policyVersions, records.policyVersion],
  [topics.calibrationState, records.calibrationState],
  [topics.evaluationResults, records.evaluationResult],
  [topics.calibrationHeld, records.heldRollout],
  [topics.calibrationEvents, records.calibrationEvent],
  [topics.runs, records.run],
];

/** Refused when it is written, and, as bytes that another program wrote, when it is read. */
function refused<T extends object>(topic: Topic<T>, valid: T, change: Partial<T>, message: string): void {
  expect(() => topic.codec.encode({ ...valid, ...change })).toThrow(message);
}

describe('a topic', () => {
  it('carries its records unchanged', () => {
    for (const [topic, record] of examples) expect(topic.codec.decode(topic.codec.encode(record))).toEqual(record);
  });

  it('has all records of a prompt in the partition of one number', () => {
    for (const [topic, record] of examples) {
      const isOfRun = topic === topics.policyVersions || topic === topics.runs;
      for (const partitions of [1, 6, 7]) {
        expect(partitionOf(topic, record, partitions)).toBe(partitionOfKey(isOfRun ? 'run' : 'prompt-1', partitions));
      }
    }
  });

  it('that is a table is keyed by what a record is about', () => {
    expect(topics.runs.key(records.run)).toBe('run');
    expect(topics.calibrationState.key(records.calibrationState)).toBe('run/prompt-1');
    expect(topics.calibrationHeld.key(records.heldRollout)).toBe('run/prompt-1/3/16');
  });

  it('either reads arbitrary bytes as a valid record or says why not, and never anything else', () => {
    for (const [topic, record] of examples) {
      const valid = topic.codec.encode(record);
      fc.assert(
        fc.property(
          fc.oneof(
            fc.uint8Array({ maxLength: 200 }),
            fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, byte]) => valid.with(at, byte)),
            fc.nat(valid.length - 1).map((length) => valid.slice(0, length)),
          ),
          (bytes) => {
            let value;
            try {
              value = topic.codec.decode(bytes);
            } catch (error) {
              expect(error).toMatchObject({ name: 'InputError' });
              return;
            }
            expect(() => topic.codec.encode(value)).not.toThrow();
          },
        ),
        { numRuns: 300, seed: 1 },
      );
    }
  });
});

describe('a record is refused', () => {
  it('when a part is missing', () => {
    refused(topics.rolloutScored, records.scoredRollout, { rollout: undefined }, 'rollout: missing');
    refused(topics.rolloutScored, records.scoredRollout, { reward: undefined }, 'reward: missing');
    refused(topics.rolloutCalibrated, records.calibratedRollout, { scored: undefined }, 'scored: missing');
    const bytes = CalibratedRollout.encode({ ...records.calibratedRollout, scored: undefined }).finish();
    expect(() => topics.rolloutCalibrated.codec.decode(bytes)).toThrow('scored: missing');
  });

  it('when a reward is not finite', () => {
    for (const reward of [NaN, Infinity, -Infinity]) {
      const score = { model: 'proxy', modelVersion: 'a1', reward };
      refused(
        topics.rolloutScored,
        records.scoredRollout,
        { reward: score },
        `reward.reward: ${reward} is not a finite`,
      );
      refused(topics.rolloutScored, records.scoredRollout, { judge: score }, `judge.reward: ${reward} is not a finite`);
      refused(topics.evaluationResults, records.evaluationResult, { rewards: [1, reward] }, 'rewards[1]');
    }
  });

  it('when log-probabilities do not fit the response', () => {
    const { sampledRollout } = records;
    refused(topics.rolloutSampled, sampledRollout, { logProbs: [-1] }, 'log_probs: 1 values for 2 response tokens');
    refused(topics.rolloutSampled, sampledRollout, { logProbs: [-1, 0.1] }, 'log_probs[1]: 0.1');
    refused(topics.rolloutSampled, sampledRollout, { logProbs: [NaN, -1] }, 'log_probs[0]: NaN');
    refused(topics.rolloutSampled, sampledRollout, { responseTokens: [], logProbs: [] }, 'response_tokens: empty');
    const bytes = SampledRollout.encode({ ...sampledRollout, logProbs: [-1] }).finish();
    expect(() => topics.rolloutSampled.codec.decode(bytes)).toThrow('log_probs: 1 values for 2 response tokens');
  });

  it('when a value is out of its range', () => {
    const { calibratedRollout, samplingRequest, calibrationState, policyVersion } = records;
    refused(topics.rolloutCalibrated, calibratedRollout, { calibratedReward: 1.01 }, 'calibrated_reward: 1.01');
    refused(topics.rolloutCalibrated, calibratedRollout, { calibratedReward: NaN }, 'calibrated_reward: NaN');
    refused(topics.rolloutCalibrated, calibratedRollout, { references: 0 }, 'references: 0');
    refused(topics.samplingRequests, samplingRequest, { topP: 0 }, 'top_p: 0');
    refused(topics.samplingRequests, samplingRequest, { topP: 1.1 }, 'top_p: 1.1');
    refused(topics.samplingRequests, samplingRequest, { samples: 0 }, 'samples: 0');
    refused(
      topics.samplingRequests,
      samplingRequest,
      { firstSampleIndex: 2 ** 32 - 1, samples: 2 },
      'samples: 2 from index',
    );
    refused(topics.samplingRequests, samplingRequest, { purpose: Purpose.PURPOSE_UNSPECIFIED }, 'purpose: 0');
    refused(topics.calibrationState, calibrationState, { references: [2, 1] }, 'references[1]: 1 is less');
    refused(topics.policyVersions, policyVersion, { version: -1 }, 'version: -1');
  });

  it('when an id is empty', () => {
    refused(topics.rolloutSampled, records.sampledRollout, { rolloutId: '' }, 'rollout_id: empty');
    refused(topics.rolloutSampled, records.sampledRollout, { promptId: '' }, 'prompt_id: empty');
    refused(topics.samplingRequests, records.samplingRequest, { runId: '' }, 'run_id: empty');
  });

  it('when a checkpoint lies outside the store', () => {
    for (const checkpoint of ['/etc', '../x', 'a/../../x', 'C:\\x', 'a\\..\\x']) {
      refused(topics.policyVersions, records.policyVersion, { checkpoint }, 'checkpoint');
    }
  });

  it('with the path of the field', () => {
    const scored = { ...records.scoredRollout, rollout: { ...records.sampledRollout, runId: '' } };
    refused(topics.rolloutCalibrated, records.calibratedRollout, { scored }, 'scored.rollout.run_id: empty');
  });
});

it('every topic has a dead-letter topic beside it', () => {
  const topic = deadLetterTopic(topics.rolloutScored);
  expect(topic.name).toBe('rollout.scored.dead-letter');
  const letter = { topic: 'rollout.scored', partition: 0, offset: 17, reason: 'why', payload: new Uint8Array([1, 2]) };
  expect(topic.codec.decode(topic.codec.encode(letter))).toEqual(letter);
});

it('a record can be removed from a table only', () => {
  expect(removal(topics.runs, records.run)).toMatchObject({ removes: true });
  expect(() => removal(topics.rolloutScored, records.scoredRollout)).toThrow('not compacted');
});

it('partitions of keys are those of the first version, for good: records would be elsewhere than their prompt', () => {
  expect(['', 'prompt-1', 'prompt-2', 'Ünïcode'].map((key) => partitionOfKey(key, 2 ** 32))).toEqual([
    2166136261, 1534353001, 1484020144, 4273162453,
  ]);
});
