import '@tensorflow/tfjs-node';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import type { CheckpointStore } from '@infalign/checkpoint';
import {
  Purpose,
  type CalibratedRollout,
  type EvaluationResult,
  type PolicyVersion,
  type SampledRollout,
} from '@infalign/contracts';
import { openEmbeddedStream, outgoing, topics, TransactionFailed, type RolloutStream } from '@infalign/rollout-stream';
import { afterEach, describe, expect, it } from 'vitest';
import { appending } from './appending.fixture.js';
import { backUp, parseBackup } from './backup.js';
import { policyRuns, runIdOf } from './experiment-steps.js';
import { restoreRuns } from './restore-runs.js';
import { rollBack } from './roll-back.js';
import { followRuns } from './runs.js';
import { tinyExperiment, tinyWorkplace, type TinySettings, type TinyWorkplace } from './tiny-experiment.fixture.js';
import { carryOutRuns, type LeftBehind } from './tiny-run.fixture.js';

const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

function newWorkplace(): TinyWorkplace {
  const workplace = tinyWorkplace();
  opened.push(() => workplace.remove());
  return workplace;
}

/** Topics that nothing is in, beside those of before. */
function newTopics({ folder }: TinyWorkplace, partitions: number): RolloutStream {
  const stream = openEmbeddedStream(join(folder, `log-${opened.length}`), { partitions });
  opened.push(() => stream.close());
  return stream;
}

const policyStepOf = (settings: TinySettings): string => policyRuns(tinyExperiment(settings))[0]!.name;

interface Reached {
  readonly sampled: number;
  readonly version: number;
}

/** How far runs are. */
async function reachedIn(stream: RolloutStream): Promise<Reached> {
  let [sampled, version] = [0, 0];
  for await (const record of stream.readAll(topics.rolloutSampled)) sampled += Number(record.offset >= 0);
  for await (const { value } of stream.readAll(topics.policyVersions)) version = Math.max(version, value.version);
  return { sampled, version };
}

/** What has to be the same again of a run that has lost its topics. */
async function outcomeOf({ records, history }: LeftBehind, store: CheckpointStore) {
  const final = (records['policy.versions'] as PolicyVersion[]).find((version) => version.final)!;
  const { files } = await store.read(final.checkpoint, final.contentHash);
  const weights = createHash('sha256').update(files.get('model.safetensors')!).digest('hex');
  const { version, iteration, beta, observedKl } = final;
  return {
    weights,
    final: { version, iteration, beta, observedKl },
    history,
    evaluation: records['evaluation.results'] as EvaluationResult[],
    states: records['calibration.state'],
  };
}

function rolloutsOf({ records }: LeftBehind): Map<string, SampledRollout> {
  return new Map((records['rollout.sampled'] as SampledRollout[]).map((rollout) => [rollout.rolloutId, rollout]));
}

describe.each<TinySettings>([
  { partitions: 1, maxStaleness: 0 },
  { partitions: 3, maxStaleness: 1 },
  { partitions: 1, method: 'dpo' },
])('runs that have lost all their topics (%o)', (settings) => {
  const { partitions = 1 } = settings;
  const experiment = tinyExperiment(settings);
  // All that DPO learns from is there at once: its iterations follow each other without anything in between.
  const transactionsAtATime = settings.method === 'dpo' ? 1 : 4;

  it('come to the same in new ones, from a backup of any moment, though more had been learned since', async () => {
    const undisturbed = newWorkplace();
    const left = await carryOutRuns(await undisturbed.open(partitions), undisturbed.store, experiment);
    const expected = await outcomeOf(left, undisturbed.store);
    const iterations = new Set<number>();
    for (const [isReached, since] of [
      [() => true, 0],
      // Within references.
      [({ sampled }: Reached) => sampled > 0, 9],
      [({ version }: Reached) => version > 0, 5],
      [() => false, 0],
    ] as const) {
      const workplace = newWorkplace();
      const lost = await workplace.open(partitions);
      while (!(await carryOutRuns(lost, workplace.store, experiment, transactionsAtATime)).finished) {
        if (isReached(await reachedIn(lost))) break;
      }
      const backup = parseBackup(await backUp(lost), 'backup');
      if (since > 0) await carryOutRuns(lost, workplace.store, experiment, since);
      const stream = newTopics(workplace, partitions);
      const restored = await restoreRuns(stream, workplace.store, backup);
      iterations.add(restored.find(({ runId }) => runId.includes('/runs/'))!.iteration);
      const after = await carryOutRuns(stream, workplace.store, experiment);
      expect(await outcomeOf(after, workplace.store)).toEqual(expected);

      // Every rollout that there is, is there once, and is what it was; so is what has been made of it.
      const sampled = after.records['rollout.sampled'] as SampledRollout[];
      const before = rolloutsOf(left);
      expect(new Set(sampled.map(({ rolloutId }) => rolloutId)).size).toBe(sampled.length);
      for (const rollout of sampled) expect(rollout).toEqual(before.get(rollout.rolloutId));
      expect(after.records['rollout.scored']).toHaveLength(sampled.length);
      const training = sampled.filter(({ purpose }) => purpose === Purpose.PURPOSE_TRAINING);
      const calibrated = after.records['rollout.calibrated'] as CalibratedRollout[];
      expect(calibrated).toHaveLength(training.length);
      for (const each of calibrated) expect(left.records['rollout.calibrated']).toContainEqual(each);
      for (const [topic, letters] of Object.entries(after.records)) {
        if (topic.endsWith('.dead-letter')) expect(letters).toEqual([]);
      }
      const versions = (after.records['policy.versions'] as PolicyVersion[]).map(
        ({ runId, version }) => `${runId} ${version}`,
      );
      expect(new Set(versions).size).toBe(versions.length);
    }
    expect([...iterations].filter((learned) => learned > 0 && learned < 3)).toHaveLength(1);
    expect([...iterations]).toEqual(expect.arrayContaining([0, 3]));
  });
});

/** A workplace in which so much has been done, and a backup of it. */
async function backedUp(transactions: number, settings: TinySettings = {}) {
  const workplace = newWorkplace();
  const stream = await workplace.open(settings.partitions);
  await carryOutRuns(stream, workplace.store, tinyExperiment(settings), transactions);
  const text = await backUp(stream);
  return { workplace, stream, text, backup: parseBackup(text, 'backup') };
}

describe('a restoration', () => {
  it('goes on from a rollback as learning did', async () => {
    const settings = { maxStaleness: 1 };
    const experiment = tinyExperiment(settings);
    const finish = async (loses: boolean) => {
      const { workplace, stream: first } = await backedUp(26, settings);
      let stream = first;
      const runs = await followRuns(stream, workplace.store);
      const run = await runs.run(runIdOf(experiment, policyStepOf(settings)));
      const { version } = (await runs.latestVersion(run.record.runId))!;
      expect(version).toBe(2);
      await rollBack(run, 1, { stream, store: workplace.store, runs });
      await runs.close();
      if (loses) {
        const backup = parseBackup(await backUp(stream), 'backup');
        stream = newTopics(workplace, 1);
        await restoreRuns(stream, workplace.store, backup);
      }
      const left = await carryOutRuns(stream, workplace.store, experiment);
      const { history, ...outcome } = await outcomeOf(left, workplace.store);
      return { ...outcome, history: history.map((statistics) => ({ ...statistics, dropped: 0 })) };
    };
    const undisturbed = await finish(false);
    expect(undisturbed.final).toMatchObject({ version: 5, iteration: 3 });
    expect(await finish(true)).toEqual(undisturbed);
  });

  it('takes over references that have come since, and does not sample those of the beginning again', async () => {
    const { workplace, stream, backup } = await backedUp(Infinity);
    const [state] = backup.calibrationStates;
    const recalibrated = { ...state!, version: 2, seen: 9, references: [...state!.references, 9] };
    await stream.append([outgoing(topics.calibrationState, recalibrated)]);
    const restoredTo = newTopics(workplace, 1);
    const restored = await restoreRuns(restoredTo, workplace.store, parseBackup(await backUp(stream), 'backup'));
    expect(restored.find(({ runId }) => runId === state!.runId)).toMatchObject({ rollouts: 0 });
    const states = [...(await restoredTo.table(topics.calibrationState)).values()];
    expect(states).toContainEqual(recalibrated);
    expect(states).toHaveLength(backup.calibrationStates.filter(({ runId }) => runId === state!.runId).length);
  });

  it('happens once, also where it is not known whether it took place; and only to topics that are empty', async () => {
    const { workplace, stream, backup } = await backedUp(8);
    await expect(restoreRuns(stream, workplace.store, backup)).rejects.toThrow('hold 3 runs already');
    const empty = newTopics(workplace, 1);
    let failures = 0;
    const failing = appending(empty, async (indeed) => {
      await indeed();
      failures++;
      throw new TransactionFailed('not known');
    });
    await restoreRuns(failing, workplace.store, backup);
    expect(failures).toBe(1);
    const requests: string[] = [];
    for await (const { value } of empty.readAll(topics.samplingRequests)) requests.push(value.requestId);
    expect(new Set(requests).size).toBe(requests.length);
  });

  it('is refused for other partitions, and where what is to be gone on from is not in the store', async () => {
    const { workplace, backup } = await backedUp(20);
    await expect(restoreRuns(newTopics(workplace, 3), workplace.store, backup)).rejects.toThrow(
      'of topics with 1 partitions, and these have 3',
    );
    await workplace.store.retain(`${policyStepOf({})}/policies`, () => false);
    await expect(restoreRuns(newTopics(workplace, 1), workplace.store, backup)).rejects.toThrow(
      /checkpoint of version \d of run .* is not in the checkpoint store/,
    );
  });

  it('is refused from what is no backup, is cut off or damaged, naming the place', async () => {
    const { text } = await backedUp(1);
    const lines = text.trim().split('\n');
    for (const [damaged, refusal] of [
      ['', 'is no backup of runs'],
      ['{}', 'is no backup of runs'],
      [text.replace('"version":1', '"version":7'), 'is of format 7'],
      [lines.slice(0, -1).join('\n'), `${lines.length - 2} of ${lines.length - 1} records are there`],
      [text.slice(0, -30), 'file, line'],
      [text.replace('"topic":"runs"', '"topic":"others"'), 'file, line 2: is damaged'],
      [text.replace(/"record":"[^"]{40}/, '"record":"'), 'file, line 2: '],
    ] as const) {
      expect(() => parseBackup(damaged, 'file')).toThrow(refusal);
    }
  });
});
