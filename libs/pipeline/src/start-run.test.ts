import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { PolicyVersion, Run, SamplingRequest } from '@infalign/contracts';
import { TransactionFailed, outgoing, topics, type RolloutStream, type Topic } from '@infalign/rollout-stream';
import { learnerName } from '@infalign/stage-learning';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { appending } from './appending.fixture.js';
import { checkpointNames, runIdOf, stepNames } from './experiment-steps.js';
import { followRuns } from './runs.js';
import { startRun } from './start-run.js';
import { policyStep, tinyExperiment, tinyWorkplace, type TinyWorkplace } from './tiny-experiment.fixture.js';

const experiment = tinyExperiment({ partitions: 2 });
const policyRun = { experiment, step: policyStep, checkpoints: '' };
let workplace: TinyWorkplace;
let stream: RolloutStream;
beforeEach(async () => {
  workplace = tinyWorkplace();
  stream = await workplace.open(2);
});
afterEach(() => workplace.remove());

async function all<T>(topic: Topic<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const { value } of stream.readAll(topic)) values.push(value);
  return values;
}

async function announced(): Promise<{ runs: Run[]; versions: PolicyVersion[]; requests: SamplingRequest[] }> {
  return {
    runs: [...(await stream.table(topics.runs)).values()],
    versions: await all(topics.policyVersions),
    requests: await all(topics.samplingRequests),
  };
}

const hashOf = async (name: string) => (await workplace.store.read(name)).contentHash;

describe('startRun', () => {
  it('announces the run with the checkpoints that it begins with, its base policy, and its first requests', async () => {
    const run = await startRun(stream, workplace.store, policyRun);
    const { runs, versions, requests } = await announced();
    expect(runs).toEqual([run]);
    expect(run).toMatchObject({
      runId: runIdOf(experiment, policyStep),
      step: policyStep,
      basePolicy: { name: 'base/model', contentHash: await hashOf('base/model') },
      rewardModel: { name: 'reward-model/model', contentHash: await hashOf('reward-model/model') },
      judge: { name: 'judge/model', contentHash: await hashOf('judge/model') },
      text: { name: 'text/text', contentHash: await hashOf('text/text') },
      referenceRunId: runIdOf(experiment, stepNames.trainingReferences),
      learnFrom: [0, 0],
      stopped: false,
    });
    expect(versions).toHaveLength(1);
    expect(versions[0]).toMatchObject({
      runId: run.runId,
      version: 0,
      checkpoint: 'base/model',
      targetKl: 0.3,
      final: false,
      rolledBackTo: 0,
    });
    expect(requests).toHaveLength(3);
  });

  it('finds a run that has been started, and asks for nothing again', async () => {
    const run = await startRun(stream, workplace.store, policyRun);
    const before = await announced();
    expect(await startRun(stream, workplace.store, policyRun)).toEqual(run);
    stream = await workplace.open(2);
    expect(await startRun(stream, workplace.store, policyRun)).toEqual(run);
    expect(await announced()).toEqual(before);
  });

  it('starts a run once where several do it at the same time', async () => {
    const runs = await Promise.all(Array.from({ length: 8 }, () => startRun(stream, workplace.store, policyRun)));
    expect((await announced()).runs).toEqual([runs[0]]);
    expect(runs).toEqual(runs.map(() => runs[0]));
    expect((await announced()).requests).toHaveLength(3);
  });

  it.each(['has', 'has not'])(
    'starts a run once where it is not known that its transaction %s taken place',
    async (has) => {
      let failures = 2;
      const failing = appending(stream, async (indeed) => {
        if (failures-- <= 0) return indeed();
        if (has === 'has') await indeed();
        throw new TransactionFailed('Connection error: read ECONNRESET');
      });
      const run = await startRun(failing, workplace.store, policyRun);
      expect((await announced()).runs).toEqual([run]);
      expect((await announced()).requests).toHaveLength(3);
      failures = Infinity;
      const other = { ...policyRun, step: stepNames.trainingReferences };
      if (has === 'has not') await expect(startRun(failing, workplace.store, other)).rejects.toThrow(TransactionFailed);
    },
  );

  it('finds a run that another has started since it looked', async () => {
    const late: RolloutStream = {
      ...stream,
      async writer(name) {
        await startRun(stream, workplace.store, policyRun);
        return stream.writer(name);
      },
    };
    const run = await startRun(late, workplace.store, policyRun);
    expect((await announced()).runs).toEqual([run]);
    expect((await announced()).requests).toHaveLength(3);
  });

  it('leaves the learner of a run that has been started alone', async () => {
    const { runId } = await startRun(stream, workplace.store, policyRun);
    const learner = await stream.writer(learnerName(runId));
    await startRun(stream, workplace.store, policyRun);
    const [version] = (await announced()).versions;
    await learner.append([outgoing(topics.policyVersions, { ...version!, version: 1 })]);
    await learner.close();
  });

  it('says from where on there are records of the run', async () => {
    await startRun(stream, workplace.store, policyRun);
    const results = ['a', 'b', 'c'].map((promptId) => ({
      runId: 'other',
      policyVersion: 1,
      promptId,
      rewards: [1],
      judgeRewards: [],
      klExact: 0,
      klK1: 0,
      klK3: 0,
      responseTokens: 1,
    }));
    await stream.append(results.map((result) => outgoing(topics.evaluationResults, result)));
    const references = { experiment, step: stepNames.trainingReferences, checkpoints: '' };
    const { evaluatedFrom, scoredFrom } = await startRun(stream, workplace.store, references);
    expect(evaluatedFrom.reduce((sum, end) => sum + end, 0)).toBe(3);
    expect(scoredFrom).toEqual([0, 0]);
  });

  it('begins with given reference distributions', async () => {
    const state = {
      promptId: 'train-0',
      version: 1,
      rewardModelVersion: 'v',
      references: [1, 2],
      runId: 'references',
      window: [],
      seen: 2,
      baseline: [],
    };
    await startRun(stream, workplace.store, { ...policyRun, calibration: [state] });
    expect([...(await stream.table(topics.calibrationState)).values()]).toEqual([state]);
  });

  it('refuses an experiment for another number of partitions, and says which', async () => {
    const other = { ...policyRun, experiment: tinyExperiment({ partitions: 3 }) };
    await expect(startRun(stream, workplace.store, other)).rejects.toThrow(
      /stream\.partitions: 3, but the topics have 2 .*set stream\.partitions: 2/,
    );
    expect((await announced()).runs).toEqual([]);
  });

  it.each(Object.values(checkpointNames))('names a checkpoint that is missing: %s', async (name) => {
    rmSync(join(workplace.folder, 'checkpoints', name), { recursive: true });
    await expect(startRun(stream, workplace.store, policyRun)).rejects.toThrow(`${name}: there is no such checkpoint`);
    expect(await announced()).toEqual({ runs: [], versions: [], requests: [] });
  });

  it('refuses a run that has been started with checkpoints of another place', async () => {
    await startRun(stream, workplace.store, policyRun);
    await expect(startRun(stream, workplace.store, { ...policyRun, checkpoints: 'mine' })).rejects.toThrow(
      /started with its checkpoints under "", not "mine"/,
    );
  });
});

describe('followRuns', () => {
  it('shows runs, their versions and prompts, and where the weights of each version lie', async () => {
    const runs = await followRuns(stream, workplace.store);
    const record = await startRun(stream, workplace.store, policyRun);
    const run = await runs.run(record.runId);
    expect(run).toMatchObject({ record, experiment, policyRun: { name: policyStep, targetKl: 0.3 } });
    expect(await runs.policy(record.runId, 0)).toEqual(record.basePolicy);
    const [base] = (await announced()).versions;
    const later = [2, 1].map((version) => ({
      ...base!,
      version,
      checkpoint: `policy-${version}`,
      contentHash: `${version}`,
    }));
    await stream.append(later.map((version) => outgoing(topics.policyVersions, version)));
    expect(await runs.policy(record.runId, 2)).toEqual({ name: 'policy-2', contentHash: '2' });
    await stream.append([outgoing(topics.policyVersions, { ...base!, version: 1, beta: 7 })]);
    const versions = await runs.versions(record.runId);
    expect(versions.map(({ version, beta }) => [version, beta === 7])).toEqual([
      [0, false],
      [1, true],
      [2, false],
    ]);
    expect((await runs.latestVersion(record.runId))!.version).toBe(2);
    expect(await runs.versions('another')).toEqual([]);
    expect((await runs.prompts(run)).train).toHaveLength(4);
    await runs.close();
  });

  it('shows the latest record of a run, and passes by what cannot be carried out', async () => {
    const runs = await followRuns(stream, workplace.store);
    const record = await startRun(stream, workplace.store, policyRun);
    expect((await runs.run(record.runId)).record.stopped).toBe(false);
    await stream.append([
      outgoing(topics.runs, { ...record, stopped: true }),
      outgoing(topics.runs, { ...record, runId: 'broken', experiment: 'name: [' }),
    ]);
    expect((await runs.run(record.runId)).record.stopped).toBe(true);
    expect((await runs.all()).map((run) => run.record.runId)).toEqual([record.runId]);
    await expect(runs.run('broken')).rejects.toThrow('experiment of run broken');
    await runs.close();
  });

  it('says that a run or a version is unknown', async () => {
    const runs = await followRuns(stream, workplace.store);
    const { runId } = await startRun(stream, workplace.store, policyRun);
    const questions = [runs.run('nobody'), runs.policy('nobody', 0), runs.policy(runId, 7)] as const;
    const [run, policy, version] = await Promise.allSettled(questions);
    expect(run).toMatchObject({
      reason: { name: 'InputError', message: expect.stringContaining('Run nobody is unknown') as string },
    });
    expect(policy).toMatchObject({ reason: { name: 'InputError' } });
    expect(version).toMatchObject({
      reason: { name: 'InputError', message: expect.stringContaining('has not announced policy version 7') as string },
    });
    await runs.close();
  });
});
