import '@tensorflow/tfjs-node';
import { Purpose, type SampledRollout, type SamplingRequest } from '@infalign/contracts';
import { topics } from '@infalign/rollout-stream';
import { afterEach, describe, expect, it } from 'vitest';
import type { SamplingStageOptions } from './pipeline.js';
import { batch, openSampler, policyOfVersion, promptsInPartition, request, type Sampler } from './sampling.fixture.js';

const opened: Sampler[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((sampler) => sampler.remove()));
});

function open(partitions?: number, policy?: SamplingStageOptions['policy']): Sampler {
  const sampler = openSampler(partitions, policy);
  opened.push(sampler);
  return sampler;
}

/** What becomes of requests, appended one transaction after another. */
async function sampled(transactions: readonly (readonly SamplingRequest[])[], partitions = 1) {
  const sampler = open(partitions);
  for (const requests of transactions) await sampler.sample(requests);
  return { rollouts: await sampler.rollouts(), deadLetters: await sampler.deadLetters() };
}

const ids = (rollouts: readonly SampledRollout[]) => rollouts.map((rollout) => rollout.rolloutId);
const byId = (rollouts: readonly SampledRollout[]) => new Map(rollouts.map((rollout) => [rollout.rolloutId, rollout]));

describe('the sampling stage', () => {
  it('makes of each request as many rollouts as it asks for, with ids that say what they are', async () => {
    const requests = batch('pair', request('a'), request('b', { firstSampleIndex: 5, samples: 2 }));
    const { rollouts } = await sampled([requests]);
    expect(ids(rollouts)).toEqual(['run/a/0/0', 'run/a/0/1', 'run/a/0/2', 'run/b/0/5', 'run/b/0/6']);
    for (const { responseTokens, logProbs } of rollouts) expect(logProbs).toHaveLength(responseTokens.length);
    expect(rollouts[3]).toMatchObject({
      runId: 'run',
      promptId: 'b',
      purpose: Purpose.PURPOSE_TRAINING,
      policyVersion: 0,
      sampleIndex: 5,
      seed: 7,
      promptTokens: requests[1]!.promptTokens,
      temperature: 1,
      batchId: 'pair',
      batchRollouts: 5,
    });
    expect(new Set(rollouts.map(({ responseTokens }) => responseTokens.join())).size).toBeGreaterThan(1);
  });

  it('samples from the version that the request was stamped with', async () => {
    const { rollouts } = await sampled([[request('a'), request('b', { policyVersion: 1 })]]);
    const policies = [policyOfVersion(0), policyOfVersion(1)];
    for (const rollout of rollouts) {
      const likelihoods = policies.map((policy) => policy.responseLogProbs([rollout], 1)[0]!);
      const own = likelihoods[rollout.policyVersion]!;
      rollout.logProbs.forEach((logProb, index) => expect(logProb).toBeCloseTo(own[index]!, 4));
      expect(Array.from(likelihoods[0]!)).not.toEqual(Array.from(likelihoods[1]!));
    }
    expect(rollouts.map((rollout) => rollout.policyVersion)).toEqual([0, 0, 0, 1, 1, 1]);
    policies.forEach((policy) => policy.dispose());
  });

  it('gives a batch the same bytes however often it comes, whatever is read with it, over 1 or 6 partitions', async () => {
    const [first, second] = [promptsInPartition(2, 6, 4), promptsInPartition(5, 6, 9)];
    const batches = [
      batch('small', ...first.slice(0, 1).map((prompt) => request(prompt))),
      batch('middle', ...first.slice(1).map((prompt) => request(prompt))),
      batch('large', ...second.map((prompt) => request(prompt, { samples: 7, temperature: 0.8 }))),
    ];
    const [small, middle, large] = batches as [SamplingRequest[], SamplingRequest[], SamplingRequest[]];
    const alone = await Promise.all(batches.map(async (one) => (await sampled([one])).rollouts));
    const expected = byId(alone.flat());
    expect(expected.size).toBe(3 + 3 * 3 + 9 * 7);
    expect(byId((await sampled([[...small, ...middle, ...large]])).rollouts)).toEqual(expected);
    expect(byId((await sampled([[...large, ...small, ...middle]], 6)).rollouts)).toEqual(expected);
    const again = await sampled([small, [...large, ...middle, ...large]]);
    expect(ids(again.rollouts)).toEqual(ids([alone[0]!, alone[2]!, alone[1]!, alone[2]!].flat()));
    for (const rollout of again.rollouts) expect(rollout).toEqual(expected.get(rollout.rolloutId));
  });

  it('waits for the rest of a batch', async () => {
    const requests = batch('three', request('a'), request('b'), request('c'));
    const sampler = open();
    await sampler.sample(requests.slice(0, 2));
    expect(await sampler.rollouts()).toEqual([]);
    expect(await sampler.stream.committed('policy-sampler', topics.samplingRequests)).toEqual([0]);
    await sampler.sample(requests.slice(2));
    expect(await sampler.rollouts()).toEqual((await sampled([requests])).rollouts);
    expect(await sampler.deadLetters()).toEqual([]);
  });

  it('finds a batch that is larger than what is read at a time', async () => {
    const prompts = Array.from({ length: 150 }, (_, index) => request(`p${index}`, { samples: 1 }));
    const { rollouts } = await sampled([batch('large', ...prompts)]);
    expect(rollouts).toHaveLength(150);
    expect(rollouts[0]!.batchRollouts).toBe(150);
  });

  it('tells batches of two runs apart that have the same id', async () => {
    const of = (runId: string) => batch('1', request('a', { runId }), request('b', { runId }));
    const { rollouts, deadLetters } = await sampled([[...of('one').slice(0, 1), ...of('two')]]);
    expect(rollouts.map(({ runId, batchRollouts }) => `${runId} ${batchRollouts}`)).toEqual(
      Array<string>(6).fill('two 6'),
    );
    expect(deadLetters.map(({ offset }) => offset)).toEqual([0]);
  });

  it('draws a sample by its index, whichever request of the prompt asks for it', async () => {
    const { rollouts } = await sampled([
      [request('a', { samples: 6 })],
      [request('a', { firstSampleIndex: 4, samples: 2 })],
    ]);
    const tokens = rollouts.map(({ rolloutId, responseTokens }) => `${rolloutId}: ${responseTokens.join()}`);
    expect(tokens.slice(6)).toEqual(tokens.slice(4, 6));
    expect(new Set(tokens.map((one) => one.split(': ')[1])).size).toBeGreaterThan(4);
  });

  it('leaves a batch where it is when the policy cannot be read for a reason of the machine', async () => {
    let broken = true;
    const policy = policyOfVersion(0);
    const sampler = open(1, () => (broken ? Promise.reject(new Error('out of reach')) : Promise.resolve(policy)));
    await expect(sampler.sample([request('a')])).rejects.toThrow('out of reach');
    expect(await sampler.stream.committed('policy-sampler', topics.samplingRequests)).toEqual([0]);
    broken = false;
    await sampler.sample([]);
    expect(ids(await sampler.rollouts())).toEqual(['run/a/0/0', 'run/a/0/1', 'run/a/0/2']);
    expect(await sampler.deadLetters()).toEqual([]);
    policy.dispose();
  });
});

describe('requests that cannot be met', () => {
  /** What becomes of a batch of three, of which the second cannot be met. */
  async function refusal(change: Partial<SamplingRequest>) {
    const requests = batch('three', request('a'), request('b', change), request('c', { samples: 2 }));
    const { rollouts, deadLetters } = await sampled([[...requests, request('d')]]);
    expect(deadLetters).toHaveLength(1);
    expect(deadLetters[0]).toMatchObject({ topic: 'sampling.requests', partition: 0, offset: 1 });
    expect(topics.samplingRequests.codec.decode(deadLetters[0]!.payload)).toEqual(requests[1]);
    expect(rollouts.map(({ promptId, batchRollouts }) => `${promptId} ${batchRollouts}`)).toEqual([
      ...Array<string>(3).fill('a 5'),
      ...Array<string>(2).fill('c 5'),
      ...Array<string>(3).fill('d 3'),
    ]);
    const met = batch('three', requests[0]!, requests[2]!);
    expect(rollouts.slice(0, 5)).toEqual((await sampled([met])).rollouts);
    return deadLetters[0]!.reason;
  }

  it('are dead letters: a token that the policy does not have', async () => {
    expect(await refusal({ promptTokens: [3, 40] })).toBe(
      "prompt_tokens: token 40 is not one of the 40 of the policy's vocabulary",
    );
  });

  it('are dead letters: a prompt that leaves no room for a response', async () => {
    expect(await refusal({ promptTokens: Array<number>(16).fill(1) })).toBe(
      "prompt_tokens: 16 tokens leave no room for a response in the policy's 16 positions",
    );
  });

  it('are dead letters: more samples than there is memory for', async () => {
    // Three are asked for before it.
    expect(await refusal({ samples: 4094 })).toBe('samples: 4097 are more than the 4096 that are decoded together');
  });

  it.each([
    ['policy_version', { policyVersion: 1 }, '1 is not the 0'],
    ['purpose', { purpose: Purpose.PURPOSE_EVALUATION }, '3 is not the 2'],
    ['temperature', { temperature: 0.5 }, '0.5 is not the 1'],
    ['top_k', { topK: 4 }, '4 is not the 0'],
    ['top_p', { topP: 0.5 }, '0.5 is not the 1'],
    ['max_response_tokens', { maxResponseTokens: 4 }, '4 is not the 5'],
  ])('are dead letters: another %s than that of its batch', async (field, change, difference) => {
    expect(await refusal(change)).toBe(`${field}: ${difference} of its batch, which is decoded together`);
  });

  it('are dead letters: a version that has not been announced, and the next batch is sampled', async () => {
    const unknown = batch('pair', request('a', { policyVersion: 9 }), request('b', { policyVersion: 9 }));
    const { rollouts, deadLetters } = await sampled([[...unknown, request('c')]]);
    expect(deadLetters.map(({ offset, reason }) => `${offset} ${reason}`)).toEqual([
      '0 Run run has not announced version 9.',
      '1 Run run has not announced version 9.',
    ]);
    expect(ids(rollouts)).toEqual(['run/c/0/0', 'run/c/0/1', 'run/c/0/2']);
  });

  it('are dead letters: a batch whose rest will not come because another one has, which is sampled', async () => {
    const cut = batch('three', request('a'), request('b'), request('c')).slice(0, 2);
    const { rollouts, deadLetters } = await sampled([cut, [request('d')]]);
    expect(deadLetters.map(({ offset, reason }) => `${offset} ${reason}`)).toEqual([
      '0 the rest of its batch is missing',
      '1 the rest of its batch is missing',
    ]);
    expect(ids(rollouts)).toEqual(['run/d/0/0', 'run/d/0/1', 'run/d/0/2']);
  });

  it('are dead letters all together where none of a batch can be met', async () => {
    const { rollouts, deadLetters } = await sampled([[request('a', { promptTokens: [99] })], [request('b')]]);
    expect(deadLetters).toHaveLength(1);
    expect(ids(rollouts)).toEqual(['run/b/0/0', 'run/b/0/1', 'run/b/0/2']);
  });
});
