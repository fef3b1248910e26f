import '@tensorflow/tfjs-node';
import { Purpose, type SampledRollout, type ScoredRollout } from '@infalign/contracts';
import { partitionOfKey, topics } from '@infalign/rollout-stream';
import { afterEach, describe, expect, it } from 'vitest';
import type { RunScorers } from './batch.js';
import { batch, openScoring, rollout, scorer, type Scoring } from './scoring.fixture.js';

const models: RunScorers = { reward: scorer('reward-model', 1), judge: scorer('judge', 2, { layers: 2 }) };
const { PURPOSE_TRAINING, PURPOSE_EVALUATION, PURPOSE_REFERENCE } = Purpose;

const opened: Scoring[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((scoring) => scoring.remove()));
});

function open(runs: Readonly<Record<string, RunScorers>> = { run: models }, partitions?: number): Scoring {
  const scoring = openScoring(runs, partitions);
  opened.push(scoring);
  return scoring;
}

/** What becomes of rollouts, appended one transaction after another. */
async function scored(transactions: readonly (readonly SampledRollout[])[], partitions?: number) {
  const scoring = open(undefined, partitions);
  for (const rollouts of transactions) await scoring.score(rollouts);
  return { rollouts: await scoring.scored(), deadLetters: await scoring.deadLetters() };
}

/** The rollout as reward models read it, ended by the end-of-text 0. */
const closed = ({ promptTokens, responseTokens }: SampledRollout) => ({
  promptTokens,
  responseTokens: responseTokens.at(-1) === 0 ? responseTokens : [...responseTokens, 0],
});

const byId = (rollouts: readonly ScoredRollout[]) => new Map(rollouts.map((one) => [one.rollout!.rolloutId, one]));

/** So many rollouts of prompts that are all in one partition of six. */
function rolloutsInPartition(partition: number, count: number): SampledRollout[] {
  const names = Array.from({ length: 1000 }, (_, index) => `prompt-${index}`);
  return names
    .filter((name) => partitionOfKey(name, 6) === partition)
    .slice(0, count)
    .map((name) => rollout(name, 0, { purpose: PURPOSE_REFERENCE }));
}

describe('the scoring stage', () => {
  it('scores every rollout by the proxy, and by the judge those that win rates are computed from', async () => {
    const purposes = [PURPOSE_TRAINING, PURPOSE_EVALUATION, PURPOSE_REFERENCE];
    const rollouts = purposes.map((purpose, index) => rollout('a', index, { purpose }));
    const { rollouts: found } = await scored([batch('three', ...rollouts)]);
    expect(found.map((one) => one.rollout)).toEqual(batch('three', ...rollouts));
    expect(found.map((one) => one.judge === undefined)).toEqual([true, false, false]);
    found.forEach((one, index) => {
      expect(one.reward).toMatchObject({ model: 'reward-model', modelVersion: 'version-1' });
      expect(one.reward!.reward).toBeCloseTo(models.reward.model.rewards([closed(rollouts[index]!)])[0]!, 4);
      if (!one.judge) return;
      expect(one.judge).toMatchObject({ model: 'judge', modelVersion: 'version-2' });
      expect(one.judge.reward).toBeCloseTo(models.judge!.model.rewards([closed(rollouts[index]!)])[0]!, 4);
    });
    expect(new Set(found.map((one) => one.reward!.reward)).size).toBe(3);
  });

  it('scores by the proxy alone where a run has no judge', async () => {
    const scoring = open({ run: { reward: models.reward, judge: undefined } });
    await scoring.score([rollout('a', 0, { purpose: PURPOSE_REFERENCE })]);
    expect((await scoring.scored()).map(({ judge }) => judge)).toEqual([undefined]);
  });

  it('scores the rollouts of each run by the models of that run, also where their batches have the same id', async () => {
    const other = scorer('reward-model', 3);
    const scoring = open({ run: models, other: { reward: other, judge: undefined } });
    const pair = batch('1', rollout('a', 0), rollout('a', 1));
    const ofOther = pair.map((one) => ({ ...one, runId: 'other' }));
    await scoring.score([...pair, ...ofOther, pair[0]!, ...ofOther]);
    const found = await scoring.scored();
    const versions = ['version-1', 'version-1', 'version-3', 'version-3', 'version-3', 'version-3'];
    expect(found.map(({ reward }) => reward!.modelVersion)).toEqual(versions);
    expect(found[2]!.reward!.reward).toBeCloseTo(other.model.rewards(pair.map(closed))[0]!, 4);
    expect((await scoring.deadLetters()).map(({ offset }) => offset)).toEqual([4]);
  });

  it('gives a batch the same bytes however often it comes, whatever is read with it, over 1 or 6 partitions', async () => {
    const inSecond = rolloutsInPartition(2, 30);
    const batches = [
      batch('small', ...inSecond.slice(0, 3)),
      batch('middle', ...inSecond.slice(3)),
      batch('large', ...rolloutsInPartition(4, 100)),
    ];
    const [small, middle, large] = batches as [SampledRollout[], SampledRollout[], SampledRollout[]];
    const expected = byId((await Promise.all(batches.map(async (one) => (await scored([one])).rollouts))).flat());
    expect(expected.size).toBe(130);
    expect(byId((await scored([[...small, ...middle, ...large]])).rollouts)).toEqual(expected);
    expect(byId((await scored([[...large, ...middle, ...small]], 6)).rollouts)).toEqual(expected);
    const again = await scored([middle, [...small, ...large, ...middle]]);
    expect(again.rollouts).toHaveLength(157);
    for (const one of again.rollouts) expect(one).toEqual(expected.get(one.rollout!.rolloutId));
  });

  it('waits for the rest of a batch, of any size', async () => {
    const rollouts = batch('large', ...Array.from({ length: 1100 }, (_, index) => rollout('a', index)));
    const scoring = open();
    await scoring.score(rollouts.slice(0, 1099));
    expect(await scoring.scored()).toEqual([]);
    expect(await scoring.stream.committed('reward-scorer', topics.rolloutSampled)).toEqual([0]);
    await scoring.score(rollouts.slice(1099));
    expect((await scoring.scored()).map((one) => one.rollout)).toEqual(rollouts);
    expect(await scoring.deadLetters()).toEqual([]);
  });
});

describe('rollouts that cannot be scored', () => {
  it.each([
    ['a token that the proxy does not have', { responseTokens: [3, 40], logProbs: [-1, -1] }],
    ['a token of the prompt that it does not have', { promptTokens: [41] }],
    [
      'more tokens than it has positions',
      { promptTokens: Array<number>(15).fill(1), responseTokens: [1, 2], logProbs: [-1, -1] },
    ],
  ])('are dead letters, and leave their batch: %s', async (_, change) => {
    const rollouts = batch('three', rollout('a', 0), rollout('a', 1, change), rollout('a', 2));
    const { rollouts: found, deadLetters } = await scored([[...rollouts, rollout('b', 0)]]);
    expect(deadLetters).toHaveLength(1);
    expect(deadLetters[0]).toMatchObject({ topic: 'rollout.sampled', partition: 0, offset: 1 });
    expect(deadLetters[0]!.reason).toMatch(
      /(token 4[01] is not one of the 40|18 tokens, end-of-text included, are more than the 16).*reward-model/,
    );
    expect(topics.rolloutSampled.codec.decode(deadLetters[0]!.payload)).toEqual(rollouts[1]);
    const kept = batch('three', rollouts[0]!, rollouts[2]!);
    expect(found.map((one) => one.rollout)).toEqual([...kept, rollout('b', 0)]);
    expect(found.slice(0, 2)).toEqual((await scored([kept])).rollouts);
  });

  it('are dead letters: what the judge cannot score', async () => {
    const judge = scorer('judge', 2, { vocabSize: 30 });
    const scoring = open({ run: { reward: models.reward, judge } });
    await scoring.score([rollout('a', 0, { promptTokens: [35] })]);
    expect((await scoring.deadLetters()).map(({ reason }) => reason)).toEqual([
      'token 35 is not one of the 30 of the vocabulary of judge',
    ]);
  });

  it('are dead letters: those of an unknown run, and the next batch is scored', async () => {
    const unknown = batch('pair', rollout('a', 0, { runId: 'nobody' }), rollout('a', 1, { runId: 'nobody' }));
    const { rollouts, deadLetters } = await scored([[...unknown, rollout('b', 0)]]);
    expect(deadLetters.map(({ offset, reason }) => `${offset} ${reason}`)).toEqual([
      '0 Run nobody is unknown.',
      '1 Run nobody is unknown.',
    ]);
    expect(rollouts.map(({ rollout }) => rollout!.promptId)).toEqual(['b']);
  });

  it('are dead letters: a batch whose rest will not come because another one has, which is scored', async () => {
    const cut = batch('three', rollout('a', 0), rollout('a', 1), rollout('a', 2)).slice(0, 2);
    const { rollouts, deadLetters } = await scored([cut, [rollout('b', 0)]]);
    expect(deadLetters.map(({ offset, reason }) => `${offset} ${reason}`)).toEqual([
      '0 the rest of its batch is missing',
      '1 the rest of its batch is missing',
    ]);
    expect(rollouts.map(({ rollout }) => rollout!.promptId)).toEqual(['b']);
  });
});
