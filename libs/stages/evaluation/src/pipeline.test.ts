import '@tensorflow/tfjs-node';
import { Purpose, type EvaluationResult, type ScoredRollout } from '@infalign/contracts';
import { partitionOfKey, topics } from '@infalign/rollout-stream';
import { afterEach, describe, expect, it } from 'vitest';
import {
  batch,
  openEvaluator,
  policy,
  policyVersion,
  reference,
  sample,
  samples,
  type Evaluator,
} from './evaluation.fixture.js';

const opened: Evaluator[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((evaluator) => evaluator.remove()));
});

function open(partitions?: number): Evaluator {
  const evaluator = openEvaluator(partitions);
  opened.push(evaluator);
  return evaluator;
}

/** What becomes of scored rollouts, appended one transaction after another. */
async function measured(transactions: readonly (readonly ScoredRollout[])[], partitions?: number) {
  const evaluator = open(partitions);
  for (const rollouts of transactions) await evaluator.evaluate({ rollouts });
  const reasons = (await evaluator.deadLetters()).map(({ offset, reason }) => `${offset} ${reason}`);
  return { results: await evaluator.results(), reasons };
}

const byPrompt = (results: readonly EvaluationResult[]) => new Map(results.map((one) => [one.promptId, one]));

describe('the stage that asks for evaluations', () => {
  it('asks when the final version of a run is announced, and not before', async () => {
    const evaluator = open(2);
    await evaluator.evaluate({ versions: [0, 1, 2].map((version) => policyVersion(version)) });
    expect(await evaluator.requests()).toEqual([]);
    expect(await evaluator.stream.committed('evaluator-requests', topics.policyVersions)).toContain(3);
    await evaluator.evaluate({ versions: [policyVersion(3, { final: true })] });
    const asked = (await evaluator.requests()).map(({ promptId, policyVersion }) => `${promptId}/${policyVersion}`);
    expect(asked.sort()).toEqual(['a/3', 'b/3']);
  });

  it('puts final versions of unknown runs aside, and goes on', async () => {
    const evaluator = open();
    const unknown = policyVersion(1, { runId: 'nobody', final: true });
    await evaluator.evaluate({ versions: [unknown, policyVersion(3, { final: true })] });
    expect(await evaluator.requests()).toHaveLength(2);
    expect((await evaluator.deadLetters()).map(({ reason }) => reason)).toEqual(['Run nobody is unknown.']);
  });
});

describe('the evaluation stage', () => {
  it('measures each prompt of a batch when the whole batch is there', async () => {
    const rollouts = batch('four', sample('a', 0), sample('a', 1), sample('b', 0), sample('b', 1));
    const evaluator = open();
    await evaluator.evaluate({ rollouts: rollouts.slice(0, 3) });
    expect(await evaluator.results()).toEqual([]);
    expect(await evaluator.stream.committed('evaluator', topics.rolloutScored)).toEqual([0]);
    await evaluator.evaluate({ rollouts: rollouts.slice(3) });
    const results = await evaluator.results();
    expect(results).toHaveLength(2);
    const lengths = rollouts.map(({ rollout }) => rollout!.responseTokens.length);
    const expected = { runId: 'run', policyVersion: 3, rewards: [1, 2], judgeRewards: [-1, -2] };
    expect(results[0]).toMatchObject({ ...expected, promptId: 'a', responseTokens: (lengths[0]! + lengths[1]!) / 2 });
    expect(results[1]).toMatchObject({ ...expected, promptId: 'b', responseTokens: (lengths[2]! + lengths[3]!) / 2 });
    expect(await evaluator.deadLetters()).toEqual([]);
  });

  it('finds a batch that is larger than what is read at a time', async () => {
    const { results } = await measured([batch('large', ...samples('a', 0, 600))]);
    expect(results.map(({ rewards }) => rewards.length)).toEqual([600]);
  });

  it('lets pass by what is not for evaluation, whole or not, and rollouts of runs that train no policy', async () => {
    const training = sample('a', 0, { purpose: Purpose.PURPOSE_TRAINING, runId: 'nobody' });
    const { results, reasons } = await measured([
      [
        ...batch('two', training, training).slice(1),
        sample('a', 1, { purpose: Purpose.PURPOSE_REFERENCE }),
        ...batch('pair', sample('a', 0, { runId: 'base' }), sample('a', 1, { runId: 'base' })),
        sample('b', 0),
        training,
      ],
    ]);
    expect(results.map(({ promptId }) => promptId)).toEqual(['b']);
    expect(reasons).toEqual([]);
  });

  it('gives a batch the same bytes however often it comes, whatever is read with it, over 1 or 6 partitions', async () => {
    const prompts = 'abcdefghijklmnopqrstuvwxyz'.split('').filter((prompt) => partitionOfKey(prompt, 6) === 1);
    expect(prompts.length).toBeGreaterThan(2);
    const five = (prompt: string) => samples(prompt, 0, 5);
    const one = batch('one', ...prompts.slice(0, 2).flatMap(five));
    const two = batch('two', ...prompts.slice(2).flatMap(five));
    const apart = await Promise.all([one, two].map(async (rollouts) => (await measured([rollouts])).results));
    const expected = byPrompt(apart.flat());
    expect(expected.size).toBe(prompts.length);
    expect(byPrompt((await measured([[...two, ...one]])).results)).toEqual(expected);
    expect(byPrompt((await measured([[...one, ...two]], 6)).results)).toEqual(expected);
    const again = await measured([one, [...two, ...one]]);
    expect(again.results).toHaveLength(prompts.length + 2);
    for (const result of again.results) expect(result).toEqual(expected.get(result.promptId));
  });

  it('measures prompts of different lengths, each from its own samples', async () => {
    const mixed = [sample('a', 0), sample('b', 0), sample('a', 1), sample('c', 0, { promptTokens: [1, 2, 3, 4, 5] })];
    const { results } = await measured([batch('mixed', ...mixed)]);
    expect(results.map(({ promptId, rewards }) => [promptId, rewards])).toEqual([
      ['a', [1, 2]],
      ['b', [1]],
      ['c', [1]],
    ]);
    const exact = policy.tokenKl(reference, [mixed[1]!.rollout!], 1)[0]!.reduce((sum, value) => sum + value, 0);
    expect(results[1]!.klExact).toBeCloseTo(exact, 5);
  });

  it('has a KL whose exact and sampled estimates agree within their noise', async () => {
    const { results } = await measured([batch('many', ...samples('a', 0, 1500))]);
    const { klExact, klK1, klK3 } = results[0]!;
    expect(klExact).toBeGreaterThan(0.05);
    expect(Math.abs(klK1 - klExact)).toBeLessThan(0.15 * klExact + 0.03);
    expect(Math.abs(klK3 - klExact)).toBeLessThan(0.25 * klExact + 0.02);
  });
});

describe('rollouts that cannot be measured', () => {
  it('are dead letters: those of a version that was not announced, and the next batch is measured', async () => {
    const unknown = batch('pair', sample('a', 0, { policyVersion: 9 }), sample('a', 1, { policyVersion: 9 }));
    const { results, reasons } = await measured([[...unknown, sample('b', 0)]]);
    expect(reasons).toEqual(['0 Version 9 of run run is unknown.', '1 Version 9 of run run is unknown.']);
    expect(results.map(({ promptId }) => promptId)).toEqual(['b']);
  });

  it('are dead letters: a batch whose rest will not come because another one has, which is measured', async () => {
    const cut = batch('three', sample('a', 0), sample('a', 1), sample('a', 2)).slice(0, 2);
    const { results, reasons } = await measured([cut, [sample('b', 0)]]);
    expect(reasons).toEqual(['0 the rest of its batch is missing', '1 the rest of its batch is missing']);
    expect(results.map(({ promptId }) => promptId)).toEqual(['b']);
  });

  it.each([
    [
      'those that are longer than the policy has positions',
      { promptTokens: Array<number>(16).fill(1) },
      /^1 \d+ tokens are more than the 16 positions/,
    ],
    ['those with a token that the policy does not have', { promptTokens: [99] }, /^1 token 99 is not one of the 17 /],
  ])('are dead letters, and the others are measured: %s', async (_, change, reason) => {
    const { results, reasons } = await measured([
      batch('three', sample('a', 0), sample('a', 1, change), sample('a', 2)),
    ]);
    expect(reasons).toEqual([expect.stringMatching(reason)]);
    expect(results.map(({ rewards }) => rewards)).toEqual([[1, 3]]);
  });

  it('are dead letters: those that the judge has not scored where it has scored others of their batch', async () => {
    const { results, reasons } = await measured([
      batch('pair', sample('a', 0), { ...sample('a', 1), judge: undefined }),
    ]);
    expect(reasons).toEqual(['1 the judge has scored a part of its batch']);
    expect(results.map(({ judgeRewards }) => judgeRewards)).toEqual([[-1]]);
  });
});
