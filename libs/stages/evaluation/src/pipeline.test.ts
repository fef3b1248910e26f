import '@tensorflow/tfjs-node';
import { Purpose, type EvaluationResult, type SamplingRequest, type ScoredRollout } from '@infalign/contracts';
import { createEagerModel, initialWeights, type LanguageModelConfig } from '@infalign/language-model';
import { topics, type ConsumedRecord } from '@infalign/rollout-stream';
import { describe, expect, it } from 'vitest';
import { evaluationStage } from './pipeline.js';

const config: LanguageModelConfig = {
  vocabSize: 17,
  hiddenSize: 8,
  intermediateSize: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 16,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};
const model = (seed: number) => {
  const weights = initialWeights(config, ['language-model'], seed);
  for (const { shape, data } of weights.values()) if (shape.length > 1) data.forEach((w, i) => (data[i] = 20 * w));
  return createEagerModel(config, weights);
};
const [policy, reference] = [model(1), model(2)];

const sample = (promptId: string, index: number): ScoredRollout => {
  const [response] = policy.sample([{ promptTokens: [1, 2], randomSeed: [promptId, index] }], {
    temperature: 1,
    topK: 0,
    topP: 1,
    maxResponseTokens: 4,
  });
  return {
    rollout: {
      rolloutId: `${promptId}${index}`,
      runId: 'run',
      promptId,
      purpose: Purpose.PURPOSE_EVALUATION,
      policyVersion: 3,
      sampleIndex: index,
      seed: 1,
      promptTokens: [1, 2],
      responseTokens: Array.from(response!.responseTokens),
      logProbs: Array.from(response!.logProbs),
      ended: response!.ended,
      temperature: 1,
    },
    reward: { model: 'reward', modelVersion: 'v', reward: index },
    judge: { model: 'judge', modelVersion: 'v', reward: -index },
  };
};
const training = (one: ScoredRollout): ScoredRollout => ({
  ...one,
  rollout: { ...one.rollout!, purpose: Purpose.PURPOSE_TRAINING },
});
const consumed = (values: readonly ScoredRollout[]): ConsumedRecord[] =>
  values.map((value, offset) => ({ topic: topics.rolloutScored, partition: 0, offset, value }));
const announced = (final: boolean): ConsumedRecord => ({
  topic: topics.policyVersions,
  partition: 0,
  offset: 0,
  value: { runId: 'run', version: 3, final },
});

const stage = (samplesPerPrompt: number) =>
  evaluationStage({
    requests: (policyVersion) => [{ promptId: 'a', policyVersion } as SamplingRequest],
    samplesPerPrompt,
    policy: () => policy,
    reference,
    maxBatchRecords: 100,
  });

describe('the evaluation stage', () => {
  it('dispatches the evaluation when the final version is announced, and not before', async () => {
    expect(await stage(2).process([announced(false)])).toEqual({ outputs: [], consumed: 1 });
    const { outputs } = await stage(2).process([announced(true)]);
    expect(outputs).toEqual([{ topic: topics.samplingRequests, value: { promptId: 'a', policyVersion: 3 } }]);
  });

  it('measures a prompt when all its samples are there, and sees those of an unfinished one again', async () => {
    const records = [training(sample('x', 0)), sample('a', 0), sample('a', 1), sample('b', 0)];
    const { outputs, consumed: count } = await stage(2).process(consumed(records));
    expect(count).toBe(3);
    expect(outputs).toHaveLength(1);
    expect(outputs[0]!.value).toMatchObject({ promptId: 'a', rewards: [0, 1], judgeRewards: [-0, -1] });
    expect((await stage(2).process(consumed([sample('b', 0)]))).consumed).toBe(0);
  });

  it('has a KL whose exact and sampled estimates agree within their noise', async () => {
    const n = 1500;
    const records = Array.from({ length: n }, (_, index) => sample('a', index));
    const { outputs } = await stage(n).process(consumed(records));
    const { klExact, klK1, klK3 } = outputs[0]!.value as EvaluationResult;
    expect(klExact).toBeGreaterThan(0.05);
    expect(Math.abs(klK1 - klExact)).toBeLessThan(0.15 * klExact + 0.03);
    expect(Math.abs(klK3 - klExact)).toBeLessThan(0.25 * klExact + 0.02);
  });
});
