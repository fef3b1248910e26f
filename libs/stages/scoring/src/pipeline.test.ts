import '@tensorflow/tfjs-node';
import { Purpose, type SampledRollout, type ScoredRollout } from '@infalign/contracts';
import { createEagerModel, initialWeights, type LanguageModelConfig } from '@infalign/language-model';
import { topics } from '@infalign/rollout-stream';
import { describe, expect, it } from 'vitest';
import { scoringStage, type Scorer } from './pipeline.js';

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

function scorer(name: string, seed: number): Scorer {
  const weights = new Map(initialWeights(config, ['reward'], seed));
  weights.set('score.weight', { shape: [1, 8], data: Float32Array.of(1, -2, 3, -4, 5, -6, 7, -8) });
  return { name, version: `v${seed}`, model: createEagerModel(config, weights) };
}

function rollout(sampleIndex: number, purpose: Purpose): SampledRollout {
  return {
    rolloutId: `r${sampleIndex}`,
    runId: 'run',
    promptId: 'p',
    purpose,
    policyVersion: 0,
    sampleIndex,
    seed: 1,
    promptTokens: [1, 2],
    responseTokens: [3 + sampleIndex, 4],
    logProbs: [-1, -1],
    ended: false,
    temperature: 1,
  };
}

describe('the scoring stage', () => {
  it('scores every rollout by the proxy, and by the judge those that win rates are computed from', async () => {
    const [reward, judge] = [scorer('reward-model', 1), scorer('judge', 2)];
    const rollouts = [Purpose.PURPOSE_TRAINING, Purpose.PURPOSE_EVALUATION, Purpose.PURPOSE_REFERENCE].map(
      (purpose, index) => rollout(index, purpose),
    );
    const { outputs, consumed } = await scoringStage(reward, judge, 8).process(
      rollouts.map((value, offset) => ({ topic: topics.rolloutSampled, partition: 0, offset, value })),
    );
    expect(consumed).toBe(3);
    const scored = outputs.map((output) => output.value as ScoredRollout);
    expect(scored.map((one) => one.rollout)).toEqual(rollouts);
    expect(scored.map((one) => one.judge === undefined)).toEqual([true, false, false]);
    rollouts.forEach((one, index) => {
      expect(scored[index]!.reward!.reward).toBeCloseTo(reward.model.rewards([one])[0]!, 5);
    });
    expect(scored[1]!.judge).toMatchObject({ model: 'judge', modelVersion: 'v2' });
    expect(scored[1]!.judge!.reward).toBeCloseTo(judge.model.rewards([rollouts[1]!])[0]!, 5);
    expect(new Set(scored.map((one) => one.reward!.reward)).size).toBe(3);
  });
});
