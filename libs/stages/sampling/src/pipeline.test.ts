import '@tensorflow/tfjs-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Purpose, type PolicyVersion, type SampledRollout, type SamplingRequest } from '@infalign/contracts';
import { createEagerModel, initialWeights, type LanguageModelConfig } from '@infalign/language-model';
import { openEmbeddedStream, outgoing, runToQuiescence, topics, type OutgoingRecord } from '@infalign/rollout-stream';
import { describe, expect, it } from 'vitest';
import { samplingStage } from './pipeline.js';
import { createPolicyStore } from './policy-store.js';

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

function request(promptId: string, policyVersion: number, change: Partial<SamplingRequest> = {}): SamplingRequest {
  return {
    requestId: `${promptId}/${policyVersion}`,
    runId: 'run',
    promptId,
    promptTokens: [1, 2, 3],
    purpose: Purpose.PURPOSE_TRAINING,
    policyVersion,
    firstSampleIndex: 0,
    samples: 3,
    seed: 7,
    temperature: 1,
    topK: 0,
    topP: 1,
    maxResponseTokens: 5,
    ...change,
  };
}

function version(number: number): PolicyVersion {
  return {
    runId: 'run',
    version: number,
    checkpoint: `version-${number}`,
    contentHash: 'ab',
    iteration: number,
    beta: 1,
    observedKl: 0,
    targetKl: 0,
    final: false,
  };
}

/** Runs the stage over a log of its own; version n of the policy has weights of seed n. */
async function sampled(records: readonly OutgoingRecord[], maxBatch = 8): Promise<SampledRollout[]> {
  const folder = mkdtempSync(join(tmpdir(), 'sampling-'));
  const stream = openEmbeddedStream(folder);
  const model = createEagerModel(config, initialWeights(config, ['language-model'], 0));
  try {
    await stream.append(records);
    const policies = createPolicyStore(model, ({ version }) => initialWeights(config, ['language-model'], version));
    await runToQuiescence(stream, [samplingStage(policies, maxBatch)]);
    const rollouts: SampledRollout[] = [];
    for await (const { value } of stream.readAll(topics.rolloutSampled)) rollouts.push(value);
    return rollouts;
  } finally {
    model.dispose();
    await stream.close();
    rmSync(folder, { recursive: true });
  }
}

const announce = (number: number) => outgoing(topics.policyVersions, version(number));
const ask = (...args: Parameters<typeof request>) => outgoing(topics.samplingRequests, request(...args));

describe('the sampling stage', () => {
  it('makes of each request as many rollouts as it asks for, with ids that say what they are', async () => {
    const rollouts = await sampled([announce(0), ask('a', 0), ask('b', 0, { firstSampleIndex: 5, samples: 2 })]);
    expect(rollouts.map((rollout) => rollout.rolloutId)).toEqual([
      'run/a/0/0',
      'run/a/0/1',
      'run/a/0/2',
      'run/b/0/5',
      'run/b/0/6',
    ]);
    for (const { responseTokens, logProbs } of rollouts) expect(logProbs).toHaveLength(responseTokens.length);
  });

  it('gives a redelivered request the same rollouts, also in another batch', async () => {
    const together = await sampled([announce(0), ask('a', 0), ask('b', 0)]);
    const apart = await sampled([announce(0), ask('b', 0), ask('a', 0)], 1);
    const byId = (rollouts: SampledRollout[]) => new Map(rollouts.map((one) => [one.rolloutId, one.responseTokens]));
    expect(byId(apart)).toEqual(byId(together));
  });

  it('samples from the version that the request was stamped with, when versions are mixed', async () => {
    const mixed = await sampled([announce(1), announce(2), ask('a', 2), ask('a', 1), ask('b', 2)]);
    const alone = await sampled([announce(2), ask('a', 2), ask('b', 2)]);
    const ofVersion2 = mixed.filter((rollout) => rollout.policyVersion === 2);
    expect(ofVersion2.map((one) => one.logProbs)).toEqual(alone.map((one) => one.logProbs));
    expect(mixed.find((one) => one.policyVersion === 1)!.logProbs).not.toEqual(alone[0]!.logProbs);
  });

  it('refuses a version that was never announced, naming those that were', async () => {
    await expect(sampled([announce(0), ask('a', 3)])).rejects.toThrow(/version 3.*known: 0/s);
  });
});
