import '@tensorflow/tfjs-node';
import { Purpose, type CalibratedRollout } from '@infalign/contracts';
import { seededRandom } from '@infalign/core';
import { TransactionFailed, WriterFenced, type RolloutStream, type Worker } from '@infalign/rollout-stream';
import { afterEach, describe, expect, it } from 'vitest';
import {
  changedRollout,
  iterations,
  requestsOf,
  rolloutsPerIteration,
  runId,
  startLearning,
  type LearningStream,
} from './learning-stream.fixture.js';
import { policyVersionOf } from './pipeline.js';

const opened: LearningStream[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((run) => run.remove()));
});

async function start(partitions = 1, maxStaleness = 0): Promise<LearningStream> {
  const run = await startLearning(partitions, maxStaleness);
  opened.push(run);
  return run;
}

interface Way {
  /** The rollouts that were asked for, as they come: transactions one after another. Without it, all at once. */
  readonly arrange?: (
    rollouts: readonly CalibratedRollout[],
    round: number,
  ) => readonly (readonly CalibratedRollout[])[];
  /** Whether the learner is replaced after an iteration. */
  readonly restart?: boolean;
}

/** Times that all rollouts asked for come; a learner that needs more of them never ends. */
const roundsEnough = 4 * iterations;

/** Learns all iterations. */
async function learnAll(run: LearningStream, { arrange = (rollouts) => [rollouts], restart = false }: Way = {}) {
  let worker: Worker = await run.learner();
  for (let round = 0; (await run.announced()).at(-1)?.final !== true; round++) {
    expect(round).toBeLessThan(roundsEnough);
    for (const rollouts of arrange(await run.outstanding(), round)) {
      await run.append(rollouts);
      while (await worker.advance()) {
        if (!restart) continue;
        await worker.close();
        worker = await run.learner();
      }
    }
  }
  expect(await worker.advance()).toBeUndefined();
  await worker.close();
  return outcome(run);
}

type Outcome = Awaited<ReturnType<typeof outcome>>;

async function outcome(run: LearningStream) {
  return { versions: await run.announced(), history: run.history() };
}

function shuffled<Item>(items: readonly Item[], ...seed: (string | number)[]): Item[] {
  const random = seededRandom(...seed);
  return items
    .map((item) => ({ item, key: random.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ item }) => item);
}

/** Transactions of a few rollouts each. */
function pieces<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, index) =>
    items.slice(index * size, (index + 1) * size),
  );
}

describe.each([0, 2])('a learner whose rollouts may be %i updates old', (maxStaleness) => {
  let undisturbed: Promise<Outcome> | undefined;
  const reference = (): Promise<Outcome> => (undisturbed ??= start(1, maxStaleness).then((run) => learnAll(run)));

  it('makes the same bytes of the same rollouts, in whatever order and over however many partitions they come', async () => {
    const expected = await reference();
    expect(expected.versions.map(({ version }) => version)).toEqual([1, 2, 3, 4, 5]);
    expect(new Set(expected.versions.map(({ contentHash }) => contentHash)).size).toBe(5);
    for (const [partitions, seed] of [
      [1, 'one'],
      [3, 'two'],
    ] as const) {
      const arrange: Way['arrange'] = (rollouts, round) => pieces(shuffled(rollouts, seed, round), 5);
      expect(await learnAll(await start(partitions, maxStaleness), { arrange })).toEqual(expected);
    }
  });

  it('goes on to the same bytes when it is replaced after every iteration', async () => {
    const arrange: Way['arrange'] = (rollouts, round) => pieces(shuffled(rollouts, 'order', round), 7);
    const restarted = await learnAll(await start(3, maxStaleness), { restart: true, arrange });
    expect(restarted).toEqual(await reference());
    expect(restarted.history.map(({ dropped }) => dropped)).toEqual([0, 0, 0, 0, 0]);
  });

  it.each([
    ['has not taken place', false],
    ['has taken place', true],
  ])('goes on to the same bytes when announcements fail, and it turns out that each %s', async (_, happens) => {
    const run = await start(2, maxStaleness);
    const stream = failingEverySecondTime(run.stream, happens);
    let worker = await run.learner(stream);
    let failures = 0;
    for (let round = 0; (await run.announced()).at(-1)?.final !== true; round++) {
      expect(round).toBeLessThan(roundsEnough);
      await run.append(shuffled(await run.outstanding(), 'order'));
      try {
        while (await worker.advance());
      } catch (error) {
        expect(error).toBeInstanceOf(TransactionFailed);
        failures++;
        await worker.close();
        worker = await run.learner(stream);
      }
    }
    await worker.close();
    expect(failures).toBe(happens ? 3 : iterations);
    expect(await outcome(run)).toEqual(await reference());
  });

  it('drops rollouts that are there already or have been learned from, counts them, and ignores those of others', async () => {
    const expected = await reference();
    let before: readonly CalibratedRollout[] = [];
    let repetitions = 0;
    const noisy = await learnAll(await start(3, maxStaleness), {
      arrange(rollouts) {
        const repeated = [...rollouts.slice(0, 2), ...before.slice(0, 3)];
        const others = rollouts.flatMap((one) => [
          changedRollout(one, { runId: 'other' }),
          changedRollout(one, { purpose: Purpose.PURPOSE_EVALUATION }),
        ]);
        before = rollouts;
        repetitions += repeated.length;
        return [[...others, ...rollouts.slice(0, 4), ...repeated, ...rollouts.slice(4)]];
      },
    });
    expect(noisy.versions).toEqual(expected.versions);
    expect(repetitions).toBeGreaterThan(5);
    expect(noisy.history.reduce((sum, { dropped }) => sum + dropped, 0)).toBe(repetitions);
    expect(noisy.history.map((each) => ({ ...each, dropped: 0 }))).toEqual(expected.history);
  });

  it('asks for each iteration once, from the version that the iteration says, under ids of its own', async () => {
    const run = await start(3, maxStaleness);
    const { history } = await learnAll(run);
    const requests = await run.requests();
    const asked = Array.from({ length: iterations }, (_, index) => requestsOf(index + 1, maxStaleness));
    expect(requests).toHaveLength(asked.flat().length);
    expect(new Set(requests.map(({ requestId }) => requestId))).toEqual(
      new Set(asked.flat().map(({ requestId }) => requestId)),
    );
    asked.forEach((ofIteration, index) => {
      const version = Math.max(0, index - maxStaleness);
      expect(policyVersionOf(index + 1, maxStaleness)).toBe(version);
      expect(ofIteration.every(({ policyVersion }) => policyVersion === version)).toBe(true);
      expect(history[index]).toMatchObject({
        iteration: index + 1,
        staleness: index - version,
        rollouts: rolloutsPerIteration,
      });
    });
  });
});

describe('learningWorker', () => {
  it('asks further iterations when one is learned, as far ahead as staleness allows, and no more than there are', async () => {
    const run = await start(1, 2);
    const worker = await run.learner();
    const askedFor = async () => (await run.requests()).length / 3;
    expect(await askedFor()).toBe(3);
    expect(await worker.advance()).toBeUndefined();
    await run.append(await run.outstanding());
    const progress: number[] = [];
    for (let learned = 1; learned <= 3; learned++) {
      progress.push((await worker.advance())!.produced);
      expect((await run.announced()).length).toBe(learned);
    }
    // The announcement and the requests of iterations 4 and 5; there is no sixth.
    expect(progress).toEqual([4, 4, 1]);
    expect(await askedFor()).toBe(iterations);
    await worker.close();
  });

  it('waits until the last rollout of the iteration has come', async () => {
    const run = await start(2);
    const worker = await run.learner();
    const rollouts = await run.outstanding();
    await run.append(rollouts.slice(1));
    expect(await worker.advance()).toBeUndefined();
    await run.append(rollouts.slice(0, 1));
    expect(await worker.advance()).toMatchObject({ name: 'ppo-learner', produced: 4 });
    const [version] = await run.announced();
    expect(version).toMatchObject({ runId, version: 1, iteration: 1, targetKl: 0.3, final: false });
    await worker.close();
  });

  it('tells of nothing any more when another learner of the run has begun, which goes on to the same bytes', async () => {
    const run = await start(2);
    const first = await run.learner();
    await run.append(await run.outstanding());
    await first.advance();
    await run.append(await run.outstanding());
    const second = await run.learner();
    await expect(first.advance()).rejects.toThrow(WriterFenced);
    expect(await run.announced()).toHaveLength(1);
    expect(await run.requests()).toHaveLength(6);
    await first.close();
    expect(await second.advance()).toMatchObject({ produced: 4 });
    await second.close();
    expect(await learnAll(run)).toEqual(await learnAll(await start(1)));
  });

  it('wakes when rollouts come', async () => {
    const run = await start(2);
    const worker = await run.learner();
    expect(await worker.advance()).toBeUndefined();
    const woken = worker.changed(60_000);
    await run.append(await run.outstanding());
    await woken;
    await worker.close();
  });
});

/** A stream of which every second append of a writer fails, the first of them to begin with, with or without having happened. */
function failingEverySecondTime(stream: RolloutStream, happens: boolean): RolloutStream {
  let appends = 0;
  return {
    ...stream,
    async writer(name) {
      const writer = await stream.writer(name);
      return {
        ...writer,
        async append(outputs) {
          const fails = appends++ % 2 === 0;
          if (happens || !fails) await writer.append(outputs);
          if (fails) throw new TransactionFailed('the connection is gone');
        },
      };
    },
  };
}
