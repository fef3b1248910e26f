import '@tensorflow/tfjs-node';
import type { CheckpointStore } from '@infalign/checkpoint';
import type { PolicyVersion, SamplingRequest } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import {
  runToQuiescence,
  stageWorker,
  topics,
  TransactionFailed,
  WriterFenced,
  type RolloutStream,
  type Worker,
} from '@infalign/rollout-stream';
import { afterEach, describe, expect, it } from 'vitest';
import { appending } from './appending.fixture.js';
import { policyRuns, runIdOf, stepNames } from './experiment-steps.js';
import { learningRun, type LearningRun } from './learning-run.js';
import { createModelCache, type ModelCache } from './model-cache.js';
import type { PipelineRun } from './pipeline-run.js';
import { rollBack } from './roll-back.js';
import { followRuns, type Runs } from './runs.js';
import { assembleCalibration, assembleSampling, assembleScoring } from './stages.js';
import { startRun } from './start-run.js';
import { tinyExperiment, tinyWorkplace, type TinySettings, type TinyWorkplace } from './tiny-experiment.fixture.js';

const kept = 10;
/** Rollouts of an iteration. */
const rolloutsPerIteration = 12;

let workplace: TinyWorkplace | undefined;
let stream: RolloutStream;
let store: CheckpointStore;
let runs: Runs;
let run: PipelineRun;
let models: ModelCache;
let stages: Worker[];
const learners: LearningRun[] = [];

/** A run of three iterations, so many of which are learned. */
async function learned(iterations: number, settings: TinySettings = {}, keptVersions = kept): Promise<void> {
  const experiment = tinyExperiment(settings);
  workplace = tinyWorkplace();
  ({ store } = workplace);
  stream = await workplace.open();
  const step = policyRuns(experiment)[0]!.name;
  for (const each of [stepNames.trainingReferences, step]) {
    await startRun(stream, store, { experiment, step: each, checkpoints: '' });
  }
  runs = await followRuns(stream, store);
  run = await runs.run(runIdOf(experiment, step));
  models = createModelCache(store, 2);
  const parts = { stream, runs, models };
  stages = [
    await stageWorker(stream, assembleSampling(parts)),
    await stageWorker(stream, assembleScoring(parts)),
    await stageWorker(stream, assembleCalibration(parts)),
  ];
  const learner = await begin(keptVersions);
  for (let iteration = 0; iteration < iterations; iteration++) {
    await supply();
    await learner.advance();
  }
}

async function tearDown(): Promise<void> {
  if (!workplace) return;
  for (const worker of [...learners.splice(0), ...stages]) await worker.close();
  await runs.close();
  models.dispose();
  await workplace.remove();
  workplace = undefined;
}

afterEach(tearDown);

async function begin(keptVersions = kept): Promise<LearningRun> {
  const learner = await learningRun(run, { stream, store, runs, keptVersions });
  learners.push(learner);
  return learner;
}

/** Samples, scores and calibrates what was asked for. */
const supply = () => runToQuiescence(stages);

async function learnToTheEnd(): Promise<LearningRun> {
  const learner = await begin();
  for (await supply(); await learner.advance(); await supply());
  return learner;
}

const back = (version: number, own: RolloutStream = stream) => rollBack(run, version, { stream: own, store, runs });

/** In the order of the log. */
async function announced(): Promise<PolicyVersion[]> {
  const versions: PolicyVersion[] = [];
  for await (const { value } of stream.readAll(topics.policyVersions)) {
    if (value.runId === run.record.runId && value.version > 0) versions.push(value);
  }
  return versions;
}

async function filesOf({ checkpoint, contentHash }: PolicyVersion) {
  const policy = await store.read(checkpoint, contentHash);
  const { learner } = policy.metadata as { learner: { name: string; contentHash: string } };
  return { policy: policy.files, learner: (await store.read(learner.name, learner.contentHash)).files };
}

describe.each([0, 1])('a rollback of a run whose rollouts may be %i updates old', (maxStaleness) => {
  it('announces what was learned before as a new version, and learning goes on from it to the end', async () => {
    await learned(2, { maxStaleness });
    const version = await back(1);
    const before = await announced();
    expect(before.map((each) => [each.version, each.iteration, each.rolledBackTo])).toEqual([
      [1, 1, 0],
      [2, 2, 0],
      [3, 1, 1],
    ]);
    expect(version).toEqual(before[2]);
    expect(await filesOf(before[2]!)).toEqual(await filesOf(before[0]!));
    expect(await filesOf(before[2]!)).not.toEqual(await filesOf(before[1]!));
    const { beta, observedKl } = before[0]!;
    expect(before[2]).toMatchObject({ beta, observedKl, final: false });

    const learner = await learnToTheEnd();
    const after = await announced();
    expect(after.slice(3).map((each) => [each.version, each.iteration, each.final, each.rolledBackTo])).toEqual([
      [4, 2, false, 0],
      [5, 3, true, 0],
    ]);
    const history = learner.history();
    expect(history.map(({ iteration }) => iteration)).toEqual([1, 2, 3]);
    // The first iteration after it is sampled from the new version, whatever the staleness; so it was with version 0.
    expect(history.map(({ staleness }) => staleness)).toEqual([0, 0, maxStaleness]);
    // Other rollouts than those that were undone, from the same policy: of other random numbers.
    expect(after[3]!.contentHash).not.toBe(after[1]!.contentHash);
    expect(history[0]).toEqual(learners[0]!.history()[0]);
    expect(history[1]!.meanReward).not.toBe(learners[0]!.history()[1]!.meanReward);
  });

  it('learns from each rollout that is asked for after it once, and from none that was under way before', async () => {
    await learned(2, { maxStaleness });
    await back(1);
    const learner = await learnToTheEnd();
    // Iteration 3 had been asked for, and is sampled; with staleness, it had come before the rollback.
    const late = maxStaleness === 0 ? rolloutsPerIteration : 0;
    expect(learner.history().map(({ dropped }) => dropped)).toEqual([0, late, 0]);
    const requests: SamplingRequest[] = [];
    for await (const { value } of stream.readAll(topics.samplingRequests)) {
      if (value.runId === run.record.runId) requests.push(value);
    }
    const versions = [...new Set(requests.map(({ policyVersion }) => policyVersion))];
    expect(versions).toEqual(maxStaleness === 0 ? [0, 1, 2, 3, 4] : [0, 1, 3]);
    for (const of of [
      ({ requestId }: SamplingRequest) => requestId,
      ({ batchId, promptId }: SamplingRequest) => `${batchId} ${promptId}`,
    ]) {
      expect(new Set(requests.map(of)).size).toBe(requests.length);
    }
  });

  it('is gone on from to the same bytes by a learner that is replaced after every iteration', async () => {
    await learned(2, { maxStaleness });
    await back(1);
    for (let round = 0; (await announced()).at(-1)!.final !== true; round++) {
      expect(round).toBeLessThan(3);
      await supply();
      await (await begin()).advance();
    }
    const replaced = await announced();
    await tearDown();
    await learned(2, { maxStaleness });
    await back(1);
    await learnToTheEnd();
    expect(await announced()).toEqual(replaced);
  });
});

describe('a rollback', () => {
  it('fences off the learner that is at work, which announces nothing any more', async () => {
    await learned(2);
    await supply();
    await back(1);
    await expect(learners[0]!.advance()).rejects.toThrow(WriterFenced);
    expect((await announced()).map(({ version }) => version)).toEqual([1, 2, 3]);
    const learner = await learnToTheEnd();
    expect(learner.history()).toHaveLength(3);
    expect((await announced()).map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
  });

  it('is not done twice: not when it is asked for again, nor when it is not known whether it took place', async () => {
    await learned(2);
    let failures = 0;
    const failing = appending(stream, async (indeed) => {
      await indeed();
      failures++;
      throw new TransactionFailed('not known');
    });
    const version = await back(1, failing);
    expect(failures).toBe(1);
    expect(await back(1)).toEqual(version);
    expect((await announced()).map((each) => each.version)).toEqual([1, 2, 3]);
    // To the version that is the latest anyway.
    expect(await back(3)).toEqual(version);
    expect(await announced()).toHaveLength(3);
  });

  it('can be undone: by one to what it has undone', async () => {
    await learned(2);
    await back(1);
    const again = await back(2);
    const versions = await announced();
    expect(again).toEqual(versions.at(-1));
    expect(again).toMatchObject({ version: 4, iteration: 2, rolledBackTo: 2 });
    expect(await filesOf(again)).toEqual(await filesOf(versions[1]!));
    const learner = await learnToTheEnd();
    expect(learner.history().slice(0, 2)).toEqual(learners[0]!.history());
    expect((await announced()).at(-1)).toMatchObject({ version: 5, iteration: 3, final: true });
  });

  it('is begun anew where the learner has announced a version meanwhile', async () => {
    await learned(2);
    await supply();
    let advanced = false;
    const late: RolloutStream = {
      ...stream,
      async writer(name) {
        // A moment before it is fenced off.
        if (!advanced) await learners[0]!.advance();
        advanced = true;
        return stream.writer(name);
      },
    };
    await expect(back(1, late)).rejects.toThrow('is finished, with version 3 as its result');
    expect((await announced()).map(({ version }) => version)).toEqual([1, 2, 3]);
  });

  it('is refused where there is nothing to go back to, saying what there is', async () => {
    await learned(2);
    await expect(back(9)).rejects.toThrow(/has no version 9 to go back to: it has announced 1 to 2/);
    await expect(back(0)).rejects.toThrow(InputError);
    const references = (await runs.all()).find(({ policyRun }) => !policyRun)!;
    await expect(rollBack(references, 1, { stream, store, runs })).rejects.toThrow('trains no policy');
    await learnToTheEnd();
    await expect(back(1)).rejects.toThrow(/is finished, with version 3 as its result/);
    expect((await announced()).map(({ version }) => version)).toEqual([1, 2, 3]);
  });

  it('is refused where the checkpoint has been deleted, naming the setting that keeps more', async () => {
    await learned(2);
    await store.retain(`${run.record.step}/policies`, (name) => !name.endsWith('version-1'));
    await expect(back(1)).rejects.toThrow(/version 1 of run .* is not kept any more.*kept_versions/);
  });

  it('is refused where all rollouts come from the base policy: learning from them again would give the same', async () => {
    await learned(2, { method: 'dpo' });
    await expect(back(1)).rejects.toThrow('learns by dpo from rollouts of the base policy alone');
  });
});
