import { isDeepStrictEqual } from 'node:util';
import '@tensorflow/tfjs-node';
import { memory } from '@tensorflow/tfjs-core';
import { decodeSafetensors, type Checkpoint, type CheckpointStore } from '@infalign/checkpoint';
import type { PolicyVersion } from '@infalign/contracts';
import {
  runToQuiescence,
  stageWorker,
  topics,
  WriterFenced,
  type RolloutStream,
  type Worker,
} from '@infalign/rollout-stream';
import type { Experiment } from '@infalign/run-config';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { policyRuns, runIdOf, stepNames } from './experiment-steps.js';
import { criticOf, learningHistory } from './learner-checkpoint.js';
import { learningRun, type LearningRun } from './learning-run.js';
import { createModelCache, type ModelCache } from './model-cache.js';
import type { PipelineRun } from './pipeline-run.js';
import { followRuns, type Runs } from './runs.js';
import { assembleCalibration, assembleSampling, assembleScoring } from './stages.js';
import { startRun } from './start-run.js';
import { tinyExperiment, tinyWorkplace, type TinySettings, type TinyWorkplace } from './tiny-experiment.fixture.js';
import { carryOutRuns } from './tiny-run.fixture.js';

let experiment: Experiment;
let policyStep: string;
let policies: string;
let workplace: TinyWorkplace;
let stream: RolloutStream;
let store: CheckpointStore;
let runs: Runs;
let run: PipelineRun;
let models: ModelCache;
let stages: Worker[];
const learners: LearningRun[] = [];

async function setUp(settings?: TinySettings): Promise<void> {
  experiment = tinyExperiment(settings);
  policyStep = policyRuns(experiment)[0]!.name;
  policies = `${policyStep}/policies`;
  workplace = tinyWorkplace();
  ({ store } = workplace);
  stream = await workplace.open();
  for (const step of [stepNames.trainingReferences, policyStep]) {
    await startRun(stream, store, { experiment, step, checkpoints: '' });
  }
  runs = await followRuns(stream, store);
  run = await runs.run(runIdOf(experiment, policyStep));
  models = createModelCache(store, 2);
  const parts = { stream, runs, models };
  stages = [
    await stageWorker(stream, assembleSampling(parts)),
    await stageWorker(stream, assembleScoring(parts)),
    await stageWorker(stream, assembleCalibration(parts)),
  ];
}

async function tearDown(): Promise<void> {
  for (const worker of [...learners.splice(0), ...stages]) await worker.close();
  await runs.close();
  models.dispose();
  await workplace.remove();
}

beforeEach(() => setUp());
afterEach(tearDown);

/** A learner of the run; the store may be one that does something at the right moment. */
async function begin(own: CheckpointStore = store, keptVersions = 0): Promise<LearningRun> {
  const learner = await learningRun(run, { stream, store: own, runs, keptVersions });
  learners.push(learner);
  return learner;
}

/** Samples, scores and calibrates what was asked for. */
const supply = () => runToQuiescence(stages);

async function learnToTheEnd(learner: LearningRun): Promise<void> {
  for (await supply(); await learner.advance(); await supply());
}

async function announced(): Promise<PolicyVersion[]> {
  return (await runs.versions(run.record.runId)).filter(({ version }) => version > 0);
}

/** What a run of the same experiment announces that nothing disturbs. */
async function undisturbed(): Promise<PolicyVersion[]> {
  const other = tinyWorkplace();
  try {
    const { records } = await carryOutRuns(await other.open(), other.store, experiment);
    return (records['policy.versions'] as PolicyVersion[]).filter(({ version }) => version > 0);
  } finally {
    await other.remove();
  }
}

describe('learningRun', () => {
  it('keeps the checkpoints of the last two versions where rollouts are never old', async () => {
    const learner = await begin();
    await learnToTheEnd(learner);
    for (const kind of ['policies', 'learner', 'statistics']) {
      const place = `${policyStep}/${kind}`;
      expect(await store.list(place)).toEqual([`${place}/version-2`, `${place}/version-3`]);
    }
    expect(await learningHistory(store, run, (await announced()).at(-1))).toEqual(learner.history());
    expect(await learningHistory(store, run, undefined)).toEqual([]);
    expect(learner.history().map(({ iteration }) => iteration)).toEqual([1, 2, 3]);
  });

  it('keeps those of as many more as it is told to', async () => {
    await learnToTheEnd(await begin(store, 1));
    const place = `${policyStep}/policies`;
    expect(await store.list(place)).toEqual([1, 2, 3].map((version) => `${place}/version-${version}`));
  });

  it("publishes policies with their base policy's tokenizer, end-of-text, padding and chat template", async () => {
    const roles = { eos_token: '<|endoftext|>', pad_token: '<|endoftext|>', chat_template: '{{ messages }}' };
    const base = run.record.basePolicy!.name;
    const learner = await begin({
      ...store,
      async read(name, expectedHash) {
        const checkpoint = await store.read(name, expectedHash);
        if (name !== base) return checkpoint;
        const files = new Map(checkpoint.files).set('tokenizer_config.json', Buffer.from(JSON.stringify(roles)));
        return { ...checkpoint, files };
      },
    });
    await supply();
    await learner.advance();
    const { files } = await store.read(`${policies}/version-1`);
    expect(files.get('tokenizer.json')).toEqual((await store.read(base)).files.get('tokenizer.json'));
    expect(JSON.parse(files.get('tokenizer_config.json')!.toString())).toEqual(roles);
    expect(JSON.parse(files.get('config.json')!.toString())).toMatchObject({ eos_token_id: 0, pad_token_id: 0 });
  });

  it('announces every version once, also where the learner before works on while its successor begins', async () => {
    const first = await begin();
    await supply();
    await first.advance();
    await supply();
    let meanwhile: Promise<unknown> | undefined;
    const second = await begin({
      ...store,
      async read(name, expectedHash) {
        // The successor reads the version announced last: had it been looked up before the fence, it could be outdated now.
        if (name === `${policies}/version-1`) await (meanwhile ??= first.advance().catch((error: unknown) => error));
        return store.read(name, expectedHash);
      },
    });
    expect(await meanwhile).toBeInstanceOf(WriterFenced);
    await learnToTheEnd(second);
    const versions: number[] = [];
    for await (const { value } of stream.readAll(topics.policyVersions)) {
      if (value.runId === run.record.runId) versions.push(value.version);
    }
    expect(versions).toEqual([0, 1, 2, 3]);
    expect(second.history()).toHaveLength(3);
    expect(await announced()).toEqual(await undisturbed());
  });

  it('goes on with its critic, which begins as the reward model, as it was', async () => {
    await tearDown();
    await setUp({ advantages: 'critic' });
    const first = await begin();
    await supply();
    await first.advance();
    const stored = await store.read(`${policyStep}/learner/version-1`);
    const { files } = stored;
    expect([...files.keys()].sort()).toEqual([
      'critic-optimiser.safetensors',
      'critic.safetensors',
      'optimiser.safetensors',
    ]);
    expect(criticOf(stored)).toEqual(decodeSafetensors(files.get('critic.safetensors')!, 'the critic'));
    expect(criticOf(await store.read(run.record.basePolicy!.name))).toBeUndefined();
    const embedding = (name: string, file: string) =>
      store.read(name).then((each) => decodeSafetensors(each.files.get(file)!, name).get('model.embed_tokens.weight')!);
    const distance = async (name: string): Promise<number> => {
      const own = await embedding(`${policyStep}/learner/version-1`, 'critic.safetensors');
      const other = await embedding(name, 'model.safetensors');
      return Math.max(...own.data.map((value, index) => Math.abs(value - other.data[index]!)));
    };
    // A few steps of Adam at 1e-3 away from the reward model, and nowhere near the base policy.
    expect(await distance(run.record.rewardModel!.name)).toBeLessThan(0.02);
    expect(await distance(run.record.basePolicy!.name)).toBeGreaterThan(0.2);
    const second = await begin();
    await learnToTheEnd(second);
    expect(second.history().every(({ valueLoss }) => valueLoss > 0)).toBe(true);
    expect(await announced()).toEqual(await undisturbed());
  });

  it('learns in adapters, goes on with them as they were, and publishes whole policies', async () => {
    await tearDown();
    await setUp({ adapters: '{ rank: 2, targets: [q_proj, lm_head] }' });
    const first = await begin();
    await supply();
    await first.advance();
    const { files } = await store.read(`${policyStep}/learner/version-1`);
    expect([...files.keys()].sort()).toEqual(['adapters.safetensors', 'optimiser.safetensors']);
    const weights = (all: Checkpoint['files']) => decodeSafetensors(all.get('model.safetensors')!, 'model');
    const base = weights((await store.read(run.record.basePolicy!.name)).files);
    const policy = (await store.read(`${policies}/version-1`)).files;
    const changed = [...weights(policy)].filter(([name, { data }]) => !isDeepStrictEqual(data, base.get(name)?.data));
    const layers = changed.map(([name]) => name);
    expect(layers.sort()).toEqual(['lm_head.weight', 'model.layers.0.self_attn.q_proj.weight']);
    expect(JSON.parse(policy.get('config.json')!.toString())).toMatchObject({ tie_word_embeddings: false });
    await learnToTheEnd(await begin());
    expect(await announced()).toEqual(await undisturbed());
  });

  it('learns from rollouts of the base policy alone, all of them asked for at once', async () => {
    await tearDown();
    await setUp({ method: 'dpo' });
    await learnToTheEnd(await begin());
    const asked: { readonly batchId: string; readonly policyVersion: number }[] = [];
    for await (const { value } of stream.readAll(topics.samplingRequests)) {
      if (value.runId === run.record.runId) asked.push(value);
    }
    expect(asked).toHaveLength(9);
    expect(asked.every(({ policyVersion }) => policyVersion === 0)).toBe(true);
    expect(new Set(asked.map(({ batchId }) => batchId.split('/')[0]))).toEqual(
      new Set(['training-1', 'training-2', 'training-3']),
    );
    expect(await announced()).toHaveLength(3);
    expect(await store.list(policies)).toEqual([`${policies}/version-2`, `${policies}/version-3`]);
  });

  it('deletes nothing that its successor has published, however late it deletes what is outdated', async () => {
    let goOn = (): void => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    const first = await begin({
      ...store,
      async retain(prefix, isKept) {
        await held;
        await store.retain(prefix, isKept);
      },
    });
    await supply();
    const late = first.advance();
    while ((await announced()).length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const second = await begin();
    await learnToTheEnd(second);
    goOn();
    await late;
    const [, , last] = await announced();
    expect((await store.read(last!.checkpoint, last!.contentHash)).files.size).toBeGreaterThan(0);
    expect((await begin()).history()).toEqual(second.history());
  });

  it('leaves nothing in memory where it cannot begin, and begins when it can', async () => {
    const learner = await begin();
    await supply();
    await learner.advance();
    await supply();
    const tensors = memory().numTensors;
    const broken: CheckpointStore = {
      ...store,
      read: (name, expectedHash) =>
        name.startsWith(policies) ? Promise.reject(new Error('out of reach')) : store.read(name, expectedHash),
    };
    await expect(begin(broken)).rejects.toThrow('out of reach');
    expect(memory().numTensors).toBe(tensors);
    await learnToTheEnd(await begin());
    expect(await announced()).toHaveLength(3);
  });
});
