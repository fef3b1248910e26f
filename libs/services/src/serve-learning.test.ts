import '@tensorflow/tfjs-node';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openFolderStore } from '@infalign/checkpoint';
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
import { openEmbeddedStream, runToQuiescence, stageWorker } from '@infalign/rollout-stream';
import { parseExperiment, parseServices } from '@infalign/run-config';
import { createLogger, silentTelemetry } from '@infalign/telemetry';
import { afterAll, expect, it, vi } from 'vitest';
import { serveLearning } from './serve-learning.js';
import { checkpoints, experimentText, partitions, policyStep, storeTinyCheckpoints } from './tiny-store.fixture.js';

const folder = mkdtempSync(join(tmpdir(), 'serve-learning-'));
afterAll(() => rmSync(folder, { recursive: true }));

it('begins anew after a rollback, also where the rollouts that the learner waits for never come', async () => {
  storeTinyCheckpoints(folder);
  const store = openFolderStore(folder);
  const stream = openEmbeddedStream(join(folder, 'log'), { partitions });
  const experiment = parseExperiment(experimentText('waiting', 10), 'waiting');
  for (const step of [stepNames.trainingReferences, policyStep]) {
    await startRun(stream, store, { experiment, step, checkpoints });
  }
  const runs = await followRuns(stream, store);
  const models = createModelCache(store, 2);
  const run = (await runs.all()).find(({ policyRun }) => policyRun)!;
  const { runId } = run.record;
  const stages = [
    await stageWorker(stream, assembleSampling({ stream, runs, models })),
    await stageWorker(stream, assembleScoring({ stream, runs, models })),
    await stageWorker(stream, assembleCalibration({ stream, runs })),
  ];
  const begun: number[] = [];
  const logger = createLogger({ service: 'test', level: 'silent' });
  vi.spyOn(logger, 'info').mockImplementation((details: unknown, message?: string) => {
    if (message === 'learning') begun.push((details as { iteration: number }).iteration);
  });
  const services = parseServices(
    `{ stream: { brokers: ['nowhere:1'] }, store: ${JSON.stringify(folder)} }`,
    'services',
  );
  const ending = new AbortController();
  const close = () => Promise.resolve();
  const parts = { stream, store, runs, models, services, logger, telemetry: silentTelemetry, close };
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
    await runs.close();
    models.dispose();
    await stream.close();
    await store.close();
  }
});
