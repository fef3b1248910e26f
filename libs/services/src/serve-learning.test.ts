import '@tensorflow/tfjs-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openFolderStore } from '@infalign/checkpoint';
import { Purpose } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import {
  assembleCalibration,
  assembleSampling,
  assembleScoring,
  createModelCache,
  followRuns,
  rollBack,
  startRun,
  stepNames,
} from '@infalign/pipeline';
import { openEmbeddedStream, outgoing, runToQuiescence, stageWorker, topics } from '@infalign/rollout-stream';
import { parseExperiment, parseServices } from '@infalign/run-config';
import { createLogger, inMemoryTelemetry, silentTelemetry } from '@infalign/telemetry';
import { afterAll, expect, it, onTestFinished, vi } from 'vitest';
import { referenceStates } from './calibrator.js';
import { evaluations } from './evaluator.js';
import { learningControl } from './learning-control.js';
import { serveLearning } from './serve-learning.js';
import { checkpoints, experimentText, partitions, policyStep, storeTinyCheckpoints } from './tiny-store.fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'serve-learning-'));
afterAll(() => rmSync(folder, { recursive: true }));

const services = parseServices(`{ stream: { brokers: ['nowhere:1'] }, store: ${JSON.stringify(folder)} }`, 'services');
const logger = createLogger({ service: 'test', level: 'silent' });
const close = () => Promise.resolve();

/** Runs of an experiment on a stream of its own, which are not worked on yet. */
async function begin(name: string) {
  storeTinyCheckpoints(folder);
  const store = openFolderStore(folder);
  const stream = openEmbeddedStream(join(folder, `log-${name}`), { partitions });
  const experiment = parseExperiment(experimentText(name, 10), name);
  for (const step of [stepNames.trainingReferences, policyStep]) {
    await startRun(stream, store, { experiment, step, checkpoints });
  }
  const runs = await followRuns(stream, store);
  const models = createModelCache(store, 2);
  const run = (await runs.all()).find(({ policyRun }) => policyRun)!;
  const parts = { stream, store, runs, models, services, logger, telemetry: silentTelemetry, close };
  onTestFinished(async () => {
    await runs.close();
    models.dispose();
    await stream.close();
    await store.close();
  });
  return { ...parts, parts, run, runId: run.record.runId };
}

it('begins anew after a rollback, also where the rollouts that the learner waits for never come', async () => {
  const { parts, stream, store, runs, models, run, runId } = await begin('waiting');
  const stages = [
    await stageWorker(stream, assembleSampling({ stream, runs, models })),
    await stageWorker(stream, assembleScoring({ stream, runs, models })),
    await stageWorker(stream, assembleCalibration({ stream, runs })),
  ];
  const begun: number[] = [];
  vi.spyOn(logger, 'info').mockImplementation((details: unknown, message?: string) => {
    if (message === 'learning') begun.push((details as { iteration: number }).iteration);
  });
  const ending = new AbortController();
  const served = serveLearning(parts, ending.signal);
  const announced = async (version: number) => {
    await vi.waitUntil(async () => (await runs.versions(runId)).at(-1)?.version === version, { timeout: 50_000 });
  };
  try {
    for (const version of [1, 2]) {
      await runToQuiescence(stages);
      await announced(version);
    }
    await rollBack(run, 1, { stream, store, runs });
    await vi.waitUntil(() => begun.length === 2, { timeout: 20_000 });
    expect(begun).toEqual([0, 1]);
    await runToQuiescence(stages);
    await announced(4);
    expect((await runs.versions(runId)).at(-1)).toMatchObject({ iteration: 2, rolledBackTo: 0 });
  } finally {
    ending.abort();
    await served;
    for (const stage of stages) await stage.close();
  }
});

it('tells how old the latest version is also of a run that cannot be learned, as its checkpoint is damaged', async () => {
  const { parts, run, runId } = await begin('damaged');
  const read = () => Promise.reject(new InputError('the checkpoint is damaged'));
  const telemetry = inMemoryTelemetry();
  const ending = new AbortController();
  const served = serveLearning({ ...parts, store: { ...parts.store, read }, telemetry }, ending.signal);
  const age = async () => (await telemetry.observed('infalign.policy.age'))[0];
  try {
    await vi.waitUntil(async () => ((await age())?.value ?? 0) > 2, { timeout: 20_000 });
    expect((await age())!.attributes).toEqual({ 'infalign.run.id': runId });
    await parts.stream.append([outgoing(topics.runs, { ...run.record, stopped: true })]);
    await vi.waitUntil(async () => (await age()) === undefined, { timeout: 20_000 });
  } finally {
    ending.abort();
    await served;
  }
});

it('ends the calls that wait for what it works on when it ends, and says so', async () => {
  const { parts, runId } = await begin('watched');
  const ending = new AbortController();
  const call = new AbortController();
  onTestFinished(() => call.abort());
  const watching = learningControl(parts, ending.signal).statistics(runId, call.signal)[Symbol.asyncIterator]().next();
  const evaluating = evaluations(parts, ending.signal)(runId, 0, call.signal).next();
  const ended = Promise.allSettled([watching, evaluating]);
  ending.abort(new Error('the service is ending'));
  const reason = expect.objectContaining({ message: 'the service is ending' }) as unknown;
  expect(await ended).toEqual(Array(2).fill({ status: 'rejected', reason }));
});

it('asks for the samples of an evaluation once, and only for batches of which results are missing', async () => {
  const { parts, stream, runs, run, runId } = await begin('evaluated');
  const [known, ...missing] = (await runs.prompts(run)).evaluation.map(({ id }) => id);
  const measured = { rewards: [1], judgeRewards: [1], klExact: 0, klK1: 0, klK3: 0, responseTokens: 3 };
  const result = { ...measured, runId, policyVersion: 0, promptId: known! };
  await stream.append([outgoing(topics.evaluationResults, result)]);
  const evaluate = evaluations(parts, new AbortController().signal);
  const all = async () => {
    const found: string[] = [];
    for await (const { promptId } of evaluate(runId, 0, new AbortController().signal)) found.push(promptId);
    return found;
  };
  const calls = [all(), all()];
  const asked = async () => {
    const requests: string[] = [];
    for await (const { value } of stream.readAll(topics.samplingRequests)) {
      if (value.runId === runId && value.purpose === Purpose.PURPOSE_EVALUATION) requests.push(value.promptId);
    }
    return requests.sort();
  };
  await vi.waitUntil(async () => (await asked()).length > 0, { timeout: 20_000 });
  await sleep(1500);
  // They are alone in their batches.
  expect(await asked()).toEqual(missing);
  await stream.append(missing.map((promptId) => outgoing(topics.evaluationResults, { ...result, promptId })));
  for (const found of await Promise.all(calls)) expect(found.sort()).toEqual([known, ...missing]);
});

it('reads each table of references once for all prompts of a call, and none for a caller that has gone', async () => {
  const { stream } = await begin('calibrated');
  const promptIds = Array.from({ length: 12 }, (_, index) => `prompt-${index}`);
  const kept = { runId: 'r', version: 1, rewardModelVersion: 'a', references: [1], window: [], seen: 1, baseline: [] };
  const states = promptIds.map((promptId) => ({ ...kept, promptId }));
  await stream.append(states.map((state) => outgoing(topics.calibrationState, state)));
  const table = vi.spyOn(stream, 'table');
  const wanted = [...promptIds, 'unknown'].map((promptId) => ({ runId: 'r', promptId }));
  const found = await referenceStates(stream, wanted, new AbortController().signal);
  expect([...found.values()].map(({ promptId }) => promptId).sort()).toEqual(promptIds.sort());
  expect(table).toHaveBeenCalledTimes(partitions);
  await expect(referenceStates(stream, wanted, AbortSignal.abort())).rejects.toThrow('aborted');
  expect(table).toHaveBeenCalledTimes(partitions);
});
