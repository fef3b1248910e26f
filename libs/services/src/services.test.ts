import '@tensorflow/tfjs-node';
import { join } from 'node:path';
import { Purpose, type SampledRollout, type ScoredRollout } from '@infalign/contracts';
import { judgedSequence } from '@infalign/language-model';
import { checkpointNames } from '@infalign/pipeline';
import { openKafkaStream, topics, type RolloutStream, type Topic } from '@infalign/rollout-stream';
import { RpcError, type RpcCallOptions, type RpcErrorCode } from '@infalign/rpc';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import {
  allOf,
  begin,
  clientsOf,
  evaluated,
  startRequest,
  watched,
  type Begun,
  type Clients,
} from './experiment.fixture.js';
import {
  mean,
  normalisedExponential,
  shareBeaten,
  standardFrontier,
  sum,
  withModel,
} from './independent-values.fixture.js';
import { contractOf, healthOf, reflectedMethod, reflectedServices } from './standard-clients.fixture.js';
import { checkpoints, partitions } from './tiny-store.fixture.js';
import { describeWithKafka, serviceTitles, type RunningProgram, type ServiceTitle } from './workplace.fixture.js';

/** Numbers of the models are 32-bit floats, computed here in batches of other sizes. */
const digits = 4;
const iterations = 2;
/** Points that take seconds. */
const manyKls = Array.from({ length: 1000 }, (_, index) => index / 500);

describeWithKafka('the five services', (workplace) => {
  let programs: Record<ServiceTitle, RunningProgram>;
  let clients: Clients;
  let stream: RolloutStream;
  /** An experiment that was begun by calls. */
  let carriedOut: Begun;

  beforeAll(async () => {
    const settings = { rpc: { max_message_mib: 1 }, drain_seconds: 4 };
    programs = await workplace().startAll(workplace().servicesFile('services.yaml', settings));
    clients = await clientsOf(programs, { maxMessageBytes: 64 * 2 ** 20 });
    const brokers = workplace().cluster.brokers.plaintext;
    stream = await openKafkaStream({ brokers, clientId: 'test', partitions });
    carriedOut = await begin(clients, 'carried-out', iterations);
    await watched(clients, carriedOut.policy);
    // The final policy is measured without being asked for.
    await vi.waitUntil(async () => (await resultsOf(carriedOut.policy)).length === 3, {
      timeout: 60_000,
      interval: 100,
    });
  }, 240_000);

  afterAll(async () => {
    clients?.close();
    await stream?.close();
  });

  const model = (name: string): string => join(workplace().store, checkpoints, name);

  async function recordsOf<T>(topic: Topic<T>, which: (value: T) => boolean): Promise<T[]> {
    const values: T[] = [];
    for await (const { value } of stream.readAll(topic)) if (which(value)) values.push(value);
    return values;
  }

  const resultsOf = (runId: string) => recordsOf(topics.evaluationResults, (result) => result.runId === runId);

  const scoredRollouts = (runId: string, purpose: Purpose): Promise<ScoredRollout[]> =>
    recordsOf(topics.rolloutScored, ({ rollout }) => rollout!.runId === runId && rollout!.purpose === purpose);

  /**
   * Calls of StreamFrontier that the evaluator has given up, as it logs them. A client whose deadline passes cancels: the
   * service may see that first.
   */
  const givenUp = (): number =>
    programs.evaluator
      .standardError()
      .split('\n')
      .filter((line) => line.includes('StreamFrontier') && /"code":"(CANCELLED|DEADLINE_EXCEEDED)"/.test(line)).length;

  describe.each(serviceTitles)('as the %s', (title) => {
    const contract = contractOf(title);

    it('say by the standard health service that they serve', async () => {
      const address = await programs[title].address;
      expect(await healthOf(address, contract.service)).toBe('SERVING');
      expect(await healthOf(address, '')).toBe('SERVING');
    });

    it('are listed by reflection, and described with every method of the contract', async () => {
      const address = await programs[title].address;
      expect(await reflectedServices(address)).toContain(contract.service);
      const names = contract.methods.map(({ name }) => name);
      const described = await Promise.all(names.map((name) => reflectedMethod(address, contract.service, name)));
      expect(described).toEqual(contract.methods);
    });
  });

  it('carry out an experiment that was started by calls', async () => {
    const { state } = await clients.learner.getRun({ runId: carriedOut.policy });
    expect(state).toMatchObject({ iterations, running: false, latest: { version: iterations, final: true } });
    const statistics = await watched(clients, carriedOut.policy);
    expect(statistics.map(({ iteration, rollouts }) => ({ iteration, rollouts }))).toEqual([
      { iteration: 1, rollouts: 12 },
      { iteration: 2, rollouts: 12 },
    ]);
    const trained = await scoredRollouts(carriedOut.policy, Purpose.PURPOSE_TRAINING);
    const first = trained.filter(({ rollout }) => rollout!.policyVersion === 0).map(({ reward }) => reward!.reward);
    expect(statistics[0]!.meanReward).toBeCloseTo(mean(first), digits);
    const { versions } = await clients.sampler.listPolicyVersions({ runId: carriedOut.policy });
    expect(versions.map(({ version }) => version)).toEqual([0, 1, 2]);
  });

  it('sample by call what they sample from the stream, with the log-probabilities of the policy', async () => {
    const requests = await recordsOf(
      topics.samplingRequests,
      ({ runId, policyVersion }) => runId === carriedOut.policy && policyVersion === 0,
    );
    const rollouts = (await allOf(clients.sampler.sample({ requests }))).map(({ rollout }) => rollout!);
    expect(rollouts).toHaveLength(12);
    const ids = new Set(rollouts.map(({ rolloutId }) => rolloutId));
    const recorded = await recordsOf(topics.rolloutSampled, ({ rolloutId }) => ids.has(rolloutId));
    expect(byId(rollouts)).toEqual(byId(recorded));
    withModel(model(checkpointNames.basePolicy), (policy, { eosTokenId }) => {
      policy.responseLogProbs(rollouts, 1).forEach((logProbs, index) => {
        const rollout = rollouts[index]!;
        expect(rollout.logProbs).toHaveLength(logProbs.length);
        rollout.logProbs.forEach((logProb, token) => expect(logProb).toBeCloseTo(logProbs[token]!, digits));
        expect(rollout.ended).toBe(rollout.responseTokens.at(-1) === eosTokenId);
      });
    });
  });

  it('score by call with the reward model, and with the judge what is evaluated', async () => {
    const [training, evaluation] = await Promise.all(
      [Purpose.PURPOSE_TRAINING, Purpose.PURPOSE_EVALUATION].map((purpose) =>
        recordsOf(topics.rolloutSampled, (value) => value.runId === carriedOut.policy && value.purpose === purpose),
      ),
    );
    const rollouts = [...training!.slice(0, 5), ...evaluation!.slice(0, 4)];
    const scored = (await clients.scorer.score({ rollouts })).rollouts;
    expect(scored.map(({ rollout }) => rollout)).toEqual(rollouts);
    withModel(model(checkpointNames.rewardModel), (scorer) => {
      const expected = scorer.rewards(rollouts.map((rollout) => judgedSequence(scorer.config, rollout)));
      scored.forEach(({ reward }, index) => expect(reward!.reward).toBeCloseTo(expected[index]!, digits));
    });
    withModel(model(checkpointNames.judge), (scorer) => {
      const expected = scorer.rewards(rollouts.slice(5).map((rollout) => judgedSequence(scorer.config, rollout)));
      scored.slice(5).forEach(({ judge }, index) => expect(judge!.reward).toBeCloseTo(expected[index]!, digits));
    });
    expect(scored.map(({ judge }) => judge === undefined)).toEqual(rollouts.map((_, index) => index < 5));
    const { models } = await clients.scorer.listRewardModels({});
    expect(models).toContainEqual({ name: 'reward-model', version: scored[0]!.reward!.modelVersion });
    expect(models).toContainEqual({ name: 'judge', version: scored[5]!.judge!.modelVersion });
  });

  it("calibrate against the run's references, show them, and fit the same", async () => {
    const references = await scoredRollouts(carriedOut.references, Purpose.PURPOSE_REFERENCE);
    const training = await scoredRollouts(carriedOut.policy, Purpose.PURPOSE_TRAINING);
    const rewardsOf = (promptId: string): number[] =>
      references.filter(({ rollout }) => rollout!.promptId === promptId).map(({ reward }) => reward!.reward);
    const asked = { rollouts: training, transformation: 'exp:5', states: [] };
    const { rollouts } = await clients.calibrator.calibrate(asked);
    rollouts.forEach((calibrated, index) => {
      const { rollout, reward } = training[index]!;
      const share = shareBeaten(reward!.reward, rewardsOf(rollout!.promptId));
      expect(calibrated).toMatchObject({ scored: training[index], calibratedReward: share, references: 4 });
      expect(calibrated.transformedReward).toBeCloseTo(normalisedExponential(5, share), 9);
    });
    const learned = await recordsOf(
      topics.rolloutCalibrated,
      ({ scored }) => scored!.rollout!.runId === carriedOut.policy,
    );
    expect(rollouts.map(({ transformedReward }) => transformedReward).sort()).toEqual(
      learned.map(({ transformedReward }) => transformedReward).sort(),
    );
    const { promptId } = training[0]!.rollout!;
    const { state } = await clients.calibrator.getCalibration({ runId: carriedOut.references, promptId });
    const ascending = rewardsOf(promptId).sort((a, b) => a - b);
    expect(state).toMatchObject({ promptId, runId: carriedOut.references, references: ascending, seen: 4 });
    const own = references.filter(({ rollout }) => rollout!.promptId === promptId);
    const fitted = await clients.calibrator.fitCalibration({ references: own.reverse() });
    expect(fitted.states).toEqual([{ ...state, version: 1 }]);
  });

  it('count ties one half where they calibrate against given references', async () => {
    const [scored] = await scoredRollouts(carriedOut.policy, Purpose.PURPOSE_TRAINING);
    const rollouts = [0, 1, 2, 3, 4].map((reward) => ({ ...scored!, reward: { ...scored!.reward!, reward } }));
    const references = [1, 2, 2, 3];
    const { state } = await clients.calibrator.getCalibration({
      runId: carriedOut.references,
      promptId: scored!.rollout!.promptId,
    });
    const states = [{ ...state!, references }];
    const answer = await clients.calibrator.calibrate({ rollouts, transformation: 'identity', states });
    expect(answer.rollouts.map(({ calibratedReward }) => calibratedReward)).toEqual([0, 1 / 8, 1 / 2, 7 / 8, 1]);
  });

  it('evaluate a policy on every evaluation prompt, and measure nothing twice', async () => {
    const results = await evaluated(clients, carriedOut.policy, iterations);
    expect(results.map(({ promptId }) => promptId)).toEqual(['evaluation-0', 'evaluation-1', 'evaluation-2']);
    const scored = await scoredRollouts(carriedOut.policy, Purpose.PURPOSE_EVALUATION);
    for (const result of results) {
      const own = scored
        .filter(({ rollout }) => rollout!.promptId === result.promptId && rollout!.policyVersion === iterations)
        .sort((a, b) => a.rollout!.sampleIndex - b.rollout!.sampleIndex);
      expect(result.rewards).toEqual(own.map(({ reward }) => reward!.reward));
      expect(result.judgeRewards).toEqual(own.map(({ judge }) => judge!.reward));
      const samples = own.map(({ rollout }) => rollout!);
      withModel(model(checkpointNames.basePolicy), (reference) => {
        const before = reference.responseLogProbs(samples, 1).map((values) => sum([...values]));
        const logRatios = samples.map(({ logProbs }, index) => sum(logProbs) - before[index]!);
        expect(result.klK1).toBeCloseTo(mean(logRatios), digits);
        expect(result.klK3).toBeCloseTo(mean(logRatios.map((ratio) => Math.expm1(-ratio) + ratio)), digits);
      });
    }
    expect(await evaluated(clients, carriedOut.policy, iterations)).toEqual(results);
    const requests = await recordsOf(
      topics.samplingRequests,
      ({ runId, purpose }) => runId === carriedOut.policy && purpose === Purpose.PURPOSE_EVALUATION,
    );
    expect(requests).toHaveLength(3);
  });

  it('measure a version when they are asked to: the base policy has no divergence from itself', async () => {
    const results = await evaluated(clients, carriedOut.policy, 0);
    expect(results).toHaveLength(3);
    for (const { rewards, klExact, klK1 } of results) {
      expect(rewards).toHaveLength(5);
      expect(klExact).toBeCloseTo(0, 6);
      expect(klK1).toBeCloseTo(0, digits);
    }
  });

  it('stream the frontier by ascending KL', async () => {
    const expected = [0.5, 1, 3].map(standardFrontier);
    const points = await frontier('standard', [expected[2]!.kl, expected[0]!.kl, expected[1]!.kl]);
    expect(points.map(({ kl }) => kl)).toEqual(expected.map(({ kl }) => kl));
    points.forEach(({ winRate }, index) => expect(winRate).toBeCloseTo(expected[index]!.winRate, 6));
    // The fixed points of the paper at half a nat.
    expect((await frontier('bon:4', [0.5]))[0]!.winRate).toBeCloseTo(0.8733, 4);
    expect((await frontier('won:4', [0.5]))[0]!.winRate).toBeCloseTo(0.9479, 4);
    expect(await frontier('bon:4', [0])).toEqual([{ kl: 0, winRate: 0.5 }]);
  });

  const frontier = (procedure: string, kls: number[], options: RpcCallOptions = {}) =>
    allOf(clients.evaluator.streamFrontier({ procedure, kls }, options));

  it('stop a run after the iteration under way, and go on with it when it is started again', async () => {
    const { policy } = await begin(clients, 'stopped', 100_000);
    const version = async () => (await clients.learner.getRun({ runId: policy })).state!.latest!.version;
    await vi.waitUntil(async () => (await version()) >= 1, { timeout: 60_000, interval: 100 });
    const begun = await clients.learner.getRun({ runId: policy });
    expect(begun.state).toMatchObject({ iterations: 100_000, running: true });
    const stopped = await clients.learner.stopRun({ runId: policy });
    expect(stopped.state).toMatchObject({ runId: policy, running: false });
    let seen = { version: -1, at: 0 };
    await vi.waitUntil(
      async () => {
        const now = await version();
        if (now !== seen.version) seen = { version: now, at: performance.now() };
        return performance.now() - seen.at > 2000;
      },
      { timeout: 60_000, interval: 100 },
    );
    const before = await watched(clients, policy);
    expect(before.map(({ iteration }) => iteration)).toEqual(before.map((_, index) => index + 1));
    await clients.learner.startRun(startRequest('stopped', 100_000, 'runs/ppo-exp-5-kl-0.3-seed-1'));
    await vi.waitUntil(async () => (await version()) > seen.version, { timeout: 60_000, interval: 100 });
    await clients.learner.stopRun({ runId: policy });
    const after = await watched(clients, policy);
    expect(after.slice(0, before.length)).toEqual(before);
  });

  it('go back to an earlier version of a run that is being learned, and learn on from it', async () => {
    const { policy } = await begin(clients, 'rolled-back', 100_000);
    const latest = async () => (await clients.learner.getRun({ runId: policy })).state!.latest!;
    await vi.waitUntil(async () => (await latest()).version >= 3, { timeout: 60_000, interval: 100 });
    const target = (await latest()).version - 1;
    const { version: again } = await clients.learner.rollBack({ runId: policy, version: target });
    const { versions } = await clients.sampler.listPolicyVersions({ runId: policy });
    const before = versions.find(({ version }) => version === target);
    expect(again).toMatchObject({ rolledBackTo: target, iteration: before!.iteration, beta: before!.beta });
    await vi.waitUntil(async () => (await latest()).version > again!.version + 1, { timeout: 60_000, interval: 100 });
    await clients.learner.stopRun({ runId: policy });
    const all = (await clients.sampler.listPolicyVersions({ runId: policy })).versions;
    expect(all.map(({ version }) => version)).toEqual(all.map((_, index) => index));
    expect(all[again!.version + 1]!.iteration).toBe(target + 1);
    const rolledBack = all.filter(({ rolledBackTo }) => rolledBackTo > 0);
    expect(rolledBack).toEqual([again]);
    const statistics = await watched(clients, policy);
    expect(statistics.map(({ iteration }) => iteration)).toEqual(statistics.map((_, index) => index + 1));
    // A stopped run is rolled back as well, and stays stopped.
    const { version: last } = await clients.learner.rollBack({ runId: policy, version: all.length - 2 });
    expect(last).toMatchObject({ rolledBackTo: all.length - 2 });
    await vi.waitUntil(async () => (await latest()).version === last!.version, { timeout: 60_000, interval: 100 });
    expect((await clients.learner.getRun({ runId: policy })).state!.running).toBe(false);
  });

  describe('refuse', () => {
    /** What a call fails with; it has a reason and a remedy. */
    async function refusal(call: Promise<unknown>): Promise<{ code: RpcErrorCode; reason: string; message: string }> {
      const error = await call.then(
        () => undefined,
        (thrown: unknown) => thrown,
      );
      if (!(error instanceof RpcError)) throw new Error(`no RpcError: ${String(error)}`);
      const { code, reason, message } = error;
      expect(reason).toMatch(/^[A-Z_]+$/);
      // A problem, and what to do about it.
      expect(message).toMatch(/.[;:.] ./);
      return { code, reason, message };
    }

    it.each<[string, RpcErrorCode, string, (c: Clients) => Promise<unknown>]>([
      ['GetRun', 'NOT_FOUND', 'RUN_UNKNOWN', ({ learner }) => learner.getRun({ runId: 'nobody' })],
      ['StopRun', 'NOT_FOUND', 'RUN_UNKNOWN', ({ learner }) => learner.stopRun({ runId: 'nobody' })],
      ['WatchRun', 'NOT_FOUND', 'RUN_UNKNOWN', (c) => watched(c, 'nobody')],
      ['RollBack', 'NOT_FOUND', 'RUN_UNKNOWN', ({ learner }) => learner.rollBack({ runId: 'nobody', version: 1 })],
      ['ListPolicyVersions', 'NOT_FOUND', 'RUN_UNKNOWN', (c) => c.sampler.listPolicyVersions({ runId: 'nobody' })],
      ['Evaluate', 'FAILED_PRECONDITION', 'POLICY_VERSION_UNKNOWN', (c) => evaluated(c, 'nobody', 0)],
      [
        'GetCalibration',
        'NOT_FOUND',
        'CALIBRATION_UNKNOWN',
        (c) => c.calibrator.getCalibration({ runId: 'nobody', promptId: 'p' }),
      ],
    ])('an unknown run in %s with %s', async (_, code, reason, call) => {
      expect(await refusal(call(clients))).toMatchObject({ code, reason });
    });

    it('to roll back a run that is finished, or trains no policy', async () => {
      const refusals = await Promise.all(
        [carriedOut.policy, carriedOut.references].map((runId) =>
          refusal(clients.learner.rollBack({ runId, version: 1 })),
        ),
      );
      for (const { code, reason } of refusals) {
        expect({ code, reason }).toEqual({ code: 'FAILED_PRECONDITION', reason: 'NOTHING_TO_ROLL_BACK_TO' });
      }
      expect(refusals.map(({ message }) => message)).toEqual([
        expect.stringContaining('is finished, with version 2'),
        expect.stringContaining('trains no policy'),
      ]);
    });

    it('an unknown run where they would sample and score', async () => {
      const [request] = await recordsOf(topics.samplingRequests, () => true);
      const sampling = clients.sampler.sample({ requests: [{ ...request!, runId: 'nobody' }] });
      expect(await refusal(sampling[Symbol.asyncIterator]().next())).toMatchObject({
        code: 'FAILED_PRECONDITION',
        reason: 'POLICY_VERSION_UNKNOWN',
      });
      const [rollout] = await recordsOf(topics.rolloutSampled, () => true);
      expect(await refusal(clients.scorer.score({ rollouts: [{ ...rollout!, runId: 'nobody' }] }))).toMatchObject({
        code: 'NOT_FOUND',
        reason: 'RUN_UNKNOWN',
      });
    });

    it.each<[string, string, (c: Clients) => Promise<unknown>]>([
      ['no rollouts', 'rollouts: empty', ({ scorer }) => scorer.score({ rollouts: [] })],
      ['no references', 'references: empty', ({ calibrator }) => calibrator.fitCalibration({ references: [] })],
      ['no run id', 'run_id: empty', ({ learner }) => learner.getRun({ runId: '' })],
      ['no YAML', 'experiment:', ({ learner }) => learner.startRun({ ...request(), experiment: 'name: [' })],
      ['another id', 'run_id: "mine" is not', ({ learner }) => learner.startRun({ ...request(), runId: 'mine' })],
      ['no procedure', 'procedure', () => frontier('best', [1])],
      ['a negative KL', 'kls: -1', () => frontier('bon:4', [-1])],
      ['no points', 'kls: 0 points', () => frontier('bon:4', [])],
    ])('%s as an invalid argument: %s', async (_, problem, call) => {
      const refused = await refusal(call(clients));
      expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_INPUT' });
      expect(refused.message).toContain(problem);
    });

    it.each(['../..', '..', '/etc', 'tiny/../..', 'tiny\0', 'tiny/.hidden', 'C:\\tiny', 'tiny//x', ' tiny'])(
      'checkpoints at %j, which is no place in the store',
      async (place) => {
        const start = clients.learner.startRun({ ...request(), checkpoints: place });
        const { code, reason, message } = await refusal(start);
        expect({ code, reason }).toEqual({ code: 'INVALID_ARGUMENT', reason: 'INVALID_INPUT' });
        expect(message).toContain('A name is relative');
        // Nothing of the machine is told, and nothing that a terminal would act on.
        expect(message).not.toContain(workplace().store);
        expect(message).not.toMatch(/\p{Cc}/u);
        await refusal(clients.learner.getRun({ runId: request().runId }));
      },
    );

    const request = () => startRequest('refused', 1, 'references/training');

    it('requests that are too large, and serve afterwards', async () => {
      const transformation = 'x'.repeat(2 * 2 ** 20);
      const call = clients.calibrator.calibrate({ rollouts: [], transformation, states: [] });
      expect(await refusal(call)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'MESSAGE_TOO_LARGE' });
      expect(await healthOf(await programs.calibrator.address, '')).toBe('SERVING');
      const missing = clients.calibrator.getCalibration({ runId: 'nobody', promptId: 'p' });
      expect(await refusal(missing)).toMatchObject({ code: 'NOT_FOUND' });
    });
  });

  it('end calls at their deadline, and serve afterwards', async () => {
    const brief = { deadlineMs: 1 };
    const calls = [
      clients.sampler.listPolicyVersions({ runId: carriedOut.policy }, brief),
      clients.scorer.listRewardModels({}, brief),
      clients.calibrator.getCalibration({ runId: carriedOut.references, promptId: 'train-0' }, brief),
      clients.learner.getRun({ runId: carriedOut.policy }, brief),
    ];
    for (const outcome of await Promise.allSettled(calls)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'DEADLINE_EXCEEDED' } });
    }
    const before = givenUp();
    await expect(frontier('bon:4', manyKls, { deadlineMs: 300 })).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await vi.waitUntil(() => givenUp() === before + 1, { timeout: 30_000, interval: 50 });
    expect(await frontier('bon:4', [0])).toHaveLength(1);
  });

  it('give up what is computed for a call that is cancelled, and serve afterwards', async () => {
    const before = givenUp();
    const cancelling = new AbortController();
    const { signal } = cancelling;
    const points = clients.evaluator.streamFrontier({ procedure: 'bon:4', kls: manyKls }, { signal });
    const iterator = points[Symbol.asyncIterator]();
    await iterator.next();
    cancelling.abort();
    await expect(allOf({ [Symbol.asyncIterator]: () => iterator })).rejects.toMatchObject({ code: 'CANCELLED' });
    await vi.waitUntil(() => givenUp() === before + 1, { timeout: 30_000, interval: 50 });
    expect(await frontier('bon:4', [0])).toHaveLength(1);
  });
});

function byId(rollouts: readonly SampledRollout[]): SampledRollout[] {
  return [...rollouts].sort((a, b) => (a.rolloutId < b.rolloutId ? -1 : 1));
}
