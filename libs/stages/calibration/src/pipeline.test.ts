import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseTransformation } from '@infalign/core';
import { Purpose, type CalibratedRollout, type ScoredRollout } from '@infalign/contracts';
import { openEmbeddedStream, outgoing, runToQuiescence, topics, type RolloutStream } from '@infalign/rollout-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { calibrationStage } from './pipeline.js';
import { createReferenceDistributions } from './reference-distributions.js';

let folder: string;
let stream: RolloutStream;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'calibration-'));
  stream = openEmbeddedStream(folder);
});
afterEach(async () => {
  await stream.close();
  rmSync(folder, { recursive: true });
});

function scored(promptId: string, reward: number, purpose: Purpose, modelVersion = 'v1'): ScoredRollout {
  const sampleIndex = Math.round(1000 * reward);
  return {
    rollout: {
      rolloutId: `${promptId}/${sampleIndex}/${purpose}`,
      runId: 'run',
      promptId,
      purpose,
      policyVersion: 0,
      sampleIndex: Math.abs(sampleIndex),
      seed: 1,
      promptTokens: [1],
      responseTokens: [2],
      logProbs: [-1],
      ended: false,
      temperature: 1,
    },
    reward: { model: 'reward', modelVersion, reward },
    judge: undefined,
  };
}

async function run(
  rollouts: readonly ScoredRollout[],
  transform = 'identity',
  batch = 3,
): Promise<CalibratedRollout[]> {
  await stream.append(rollouts.map((rollout) => outgoing(topics.rolloutScored, rollout)));
  const states = await stream.table(topics.calibrationState);
  const stage = calibrationStage({
    distributions: createReferenceDistributions(states.values()),
    transformation: parseTransformation(transform),
    corrected: false,
    maxBatchRecords: batch,
  });
  await runToQuiescence(stream, [stage]);
  const calibrated: CalibratedRollout[] = [];
  for await (const { value } of stream.readAll(topics.rolloutCalibrated)) calibrated.push(value);
  return calibrated;
}

const { PURPOSE_REFERENCE, PURPOSE_TRAINING, PURPOSE_EVALUATION } = Purpose;

describe('the calibration stage', () => {
  it('calibrates each training rollout against its own prompt’s references, ties counted half', async () => {
    const references = [0, 1, 2, 3].map((reward) => scored('a', reward, PURPOSE_REFERENCE));
    const others = [10, 20].map((reward) => scored('b', reward, PURPOSE_REFERENCE));
    const calibrated = await run([
      ...references,
      ...others,
      scored('a', 2.5, PURPOSE_TRAINING),
      scored('a', 1, PURPOSE_TRAINING),
      scored('b', 2.5, PURPOSE_TRAINING),
    ]);
    expect(calibrated.map((one) => one.calibratedReward)).toEqual([0.75, 0.375, 0]);
    expect(calibrated.map((one) => one.references)).toEqual([4, 4, 2]);
  });

  it('transforms on the scale of mean 0 and unit variance under the reference policy', async () => {
    const references = Array.from({ length: 8 }, (_, reward) => scored('a', reward, PURPOSE_REFERENCE));
    const [one] = await run([...references, scored('a', 5.5, PURPOSE_TRAINING)], 'identity', 100);
    // Ĉ = 6/8; the uniform distribution has mean ½ and variance 1/12.
    expect(one!.transformedReward).toBeCloseTo((0.75 - 0.5) * Math.sqrt(12), 12);
    expect(one!.transformation).toBe('identity');
  });

  it('lets evaluation rollouts pass by', async () => {
    expect(await run([scored('a', 1, PURPOSE_REFERENCE), scored('a', 1, PURPOSE_EVALUATION)])).toEqual([]);
  });

  it('grows a distribution by batches of references, and goes on from it after a restart', async () => {
    await run(
      [3, 1, 4, 2, 5].map((reward) => scored('a', reward, PURPOSE_REFERENCE)),
      'identity',
      2,
    );
    const states = await stream.table(topics.calibrationState);
    expect(states.get('a')).toMatchObject({ version: 3, references: [1, 2, 3, 4, 5], rewardModelVersion: 'v1' });
    const [one] = await run([scored('a', 0, PURPOSE_REFERENCE), scored('a', 0.5, PURPOSE_TRAINING)]);
    expect(one).toMatchObject({ calibratedReward: 1 / 6, calibrationVersion: 4 });
  });

  it('never mixes rewards of two versions of the reward model', async () => {
    await run([1, 2, 3].map((reward) => scored('a', reward, PURPOSE_REFERENCE)));
    await expect(run([scored('a', 2, PURPOSE_TRAINING, 'v2')])).rejects.toThrow(/a has reference rewards of .*v1.*v2/);
    const distributions = createReferenceDistributions((await stream.table(topics.calibrationState)).values());
    expect(distributions.extended('a', 'v2', [9, 8]).references).toEqual([8, 9]);
  });

  it('refuses to calibrate a prompt without references, naming it, and consumes nothing', async () => {
    await expect(run([scored('lonely', 2, PURPOSE_TRAINING)])).rejects.toThrow(/lonely has no reference rewards/);
    expect(await stream.committed('calibrator', topics.rolloutScored)).toEqual([0]);
  });
});
