import { setImmediate as nextTurn } from 'node:timers/promises';
import type { PolicyVersion } from '@infalign/contracts';
import { outgoing, topics, type RolloutStream } from '@infalign/rollout-stream';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { followTopic } from './followed-topic.js';
import { tinyWorkplace, type TinyWorkplace } from './tiny-experiment.fixture.js';

let workplace: TinyWorkplace;
let stream: RolloutStream;
beforeEach(async () => {
  workplace = tinyWorkplace();
  stream = await workplace.open(3);
});
afterEach(() => workplace.remove());

function version(runId: string, number = 0): PolicyVersion {
  return {
    runId,
    version: number,
    checkpoint: 'policy',
    contentHash: 'ab',
    iteration: number,
    beta: 1,
    observedKl: 0,
    targetKl: 0,
    final: false,
    rolledBackTo: 0,
  };
}

const append = (...versions: readonly PolicyVersion[]) =>
  stream.append(versions.map((one) => outgoing(topics.policyVersions, one)));
const follow = (over = stream) =>
  followTopic(
    over,
    topics.policyVersions,
    ({ runId }) => runId,
    (_: unknown, record: PolicyVersion) => record,
  );
const values = (said: ReadonlyMap<string, PolicyVersion>) => [...said.values()];

describe('a followed topic', () => {
  it('shows what was appended before it was asked, of all partitions', async () => {
    await append(...Array.from({ length: 30 }, (_, index) => version(`run-${index}`)));
    const topic = await follow();
    expect(await topic.get('run-7')).toEqual(version('run-7'));
    await append(version('late'));
    expect(await topic.get('late')).toEqual(version('late'));
    expect(await topic.all()).toHaveProperty('size', 31);
    await topic.close();
  });

  it('shows the latest record of a key, also where it knows an earlier one', async () => {
    await append(version('run', 1));
    const topic = await follow();
    expect(await topic.get('run')).toEqual(version('run', 1));
    await append(version('run', 2));
    expect(await topic.get('run')).toEqual(version('run', 2));
    await append(version('run', 3));
    expect(values(await topic.all())).toEqual([version('run', 3)]);
    await topic.close();
  });

  it('shows what was appended while another reads it', async () => {
    let finishReading = (): void => undefined;
    const reading = new Promise<void>((resolve) => (finishReading = resolve));
    const slow: RolloutStream = {
      ...stream,
      async follow(topic, from) {
        const reader = await stream.follow(topic, from);
        return {
          ...reader,
          async read(maxRecords) {
            const records = await reader.read(maxRecords);
            await reading;
            return records;
          },
        };
      },
    };
    const topic = await follow(slow);
    const first = topic.all().then(values);
    await nextTurn();
    await append(version('run'));
    const second = topic.all().then(values);
    finishReading();
    expect(await first).toEqual([]);
    expect(await second).toEqual([version('run')]);
    await topic.close();
  });

  it('waits for what is just being committed, and no longer', async () => {
    let committed = false;
    /** In which nothing is visible yet of what has been appended. */
    const committing: RolloutStream = {
      ...stream,
      async follow(topic, from) {
        const reader = await stream.follow(topic, from);
        return { ...reader, read: (maxRecords) => (committed ? reader.read(maxRecords) : Promise.resolve([])) };
      },
    };
    const topic = await follow(committing);
    await append(version('run', 1));
    const [found, missing, all] = [topic.get('run'), topic.get('missing'), topic.settled().then(values)];
    let answered = false;
    void Promise.race([found, missing, all]).then(() => (answered = true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(answered).toBe(false);
    committed = true;
    expect(await found).toEqual(version('run', 1));
    expect(await missing).toBeUndefined();
    expect(await all).toEqual([version('run', 1)]);
    await topic.close();
  });

  it('shows all that was there when it was followed, although nothing has been fetched since', async () => {
    await append(...Array.from({ length: 5 }, (_, index) => version(`run-${index}`)), version('run-3', 1));
    const fetching: RolloutStream = {
      ...stream,
      follow: async (topic, from) => ({ ...(await stream.follow(topic, from)), read: () => Promise.resolve([]) }),
    };
    const topic = await follow(fetching);
    expect(await topic.all()).toHaveProperty('size', 5);
    expect(await topic.get('run-3')).toEqual(version('run-3', 1));
    await topic.close();
  });

  it('shows nothing of a key for which there is nothing, without waiting', async () => {
    await append(version('other'));
    const topic = await follow();
    // Waiting for what may come would take minutes.
    for (let index = 0; index < 100; index++) expect(await topic.get(`run-${index}`)).toBeUndefined();
    await topic.close();
  });
});
