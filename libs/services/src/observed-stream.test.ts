import { Purpose, type SampledRollout, type SamplingRequest } from '@infalign/contracts';
import {
  openKafkaStream,
  outgoing,
  refused,
  rolloutId,
  serveStage,
  topics,
  type RolloutStream,
  type Stage,
} from '@infalign/rollout-stream';
import {
  createLogger,
  inMemoryTelemetry,
  silentTelemetry,
  withinSpan,
  type InMemoryTelemetry,
} from '@infalign/telemetry';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { observedStream } from './observed-stream.js';
import { partitions } from './tiny-store.fixture.js';
import { describeWithKafka } from './workplace.fixture.js';

const run = 'run-1';

function request(promptId: string, samples: number, purpose = Purpose.PURPOSE_TRAINING): SamplingRequest {
  return {
    requestId: `${promptId}/${samples}`,
    runId: run,
    promptId,
    promptTokens: [7, 8, 9],
    purpose,
    policyVersion: 3,
    firstSampleIndex: 0,
    samples,
    seed: 1,
    temperature: 1,
    topK: 0,
    topP: 1,
    maxResponseTokens: 4,
    batchId: `batch-${promptId}`,
    batchRequests: 1,
  };
}

function sampled(from: SamplingRequest, sampleIndex: number): SampledRollout {
  const { runId, promptId, policyVersion, purpose, seed, promptTokens, temperature, batchId, samples } = from;
  const responseTokens = Array.from({ length: sampleIndex + 1 }, () => 5);
  return {
    rolloutId: rolloutId({ runId, promptId, policyVersion, sampleIndex }),
    runId,
    promptId,
    purpose,
    policyVersion,
    sampleIndex,
    seed,
    promptTokens,
    responseTokens,
    logProbs: responseTokens.map(() => -1),
    ended: false,
    temperature,
    batchId,
    batchRollouts: samples,
  };
}

/** Makes rollouts of requests; it refuses those of a prompt that is called bad. */
const sampling: Stage<SamplingRequest> = {
  name: 'policy-sampler',
  input: topics.samplingRequests,
  maxBatchRecords: 64,
  open: () =>
    Promise.resolve({
      process: (records) =>
        Promise.resolve({
          consumed: records.length,
          outputs: records.flatMap((record) =>
            record.value.promptId === 'bad'
              ? [refused(record, 'it is bad')]
              : Array.from({ length: record.value.samples }, (_, index) =>
                  outgoing(topics.rolloutSampled, sampled(record.value, index)),
                ),
          ),
        }),
    }),
};

/** Gives every rollout its number of tokens, below 0, as its reward. */
const scoring: Stage<SampledRollout> = {
  name: 'reward-scorer',
  input: topics.rolloutSampled,
  maxBatchRecords: 64,
  open: () =>
    Promise.resolve({
      process: (records) =>
        Promise.resolve({
          consumed: records.length,
          outputs: records.map(({ value }) =>
            outgoing(topics.rolloutScored, {
              rollout: value,
              reward: { model: 'reward-model', modelVersion: 'v', reward: -value.responseTokens.length },
              judge: undefined,
            }),
          ),
        }),
    }),
};

interface Told {
  readonly learner: InMemoryTelemetry;
  readonly sampler: InMemoryTelemetry;
  readonly scorer: InMemoryTelemetry;
  readonly lines: readonly Record<string, unknown>[];
  readonly stream: RolloutStream;
}

describeWithKafka('a stream that is observed', (workplace) => {
  const open = (prefix: string): Promise<RolloutStream> =>
    openKafkaStream({ brokers: workplace().cluster.brokers.plaintext, clientId: 'test', partitions, prefix });

  /** Has requests sampled and scored by two services, each with its own stream. */
  async function carriedOut(
    prefix: string,
    append: (learner: RolloutStream, told: Told) => Promise<void>,
    rollouts: number,
  ): Promise<Told> {
    const stream = await open(prefix);
    const lines: Record<string, unknown>[] = [];
    const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
    const logger = createLogger({ service: 's', level: 'info', destination: { write } });
    const [learner, sampler, scorer] = [inMemoryTelemetry(), inMemoryTelemetry(), inMemoryTelemetry()];
    const told = { learner, sampler, scorer, lines, stream };
    await append(observedStream(stream, { telemetry: learner, logger, service: 'ppo-learner' }), told);
    const end = new AbortController();
    const { signal } = end;
    const streams = [await open(prefix), await open(prefix)];
    const serving = [
      serveStage(observedStream(streams[0]!, { telemetry: sampler, logger, service: 'policy-sampler' }), sampling, {
        signal,
      }),
      serveStage(observedStream(streams[1]!, { telemetry: scorer, logger, service: 'reward-scorer' }), scoring, {
        signal,
      }),
    ];
    await vi.waitUntil(
      () => scorer.values('infalign.rollouts').reduce((sum, { value }) => sum + value, 0) >= rollouts,
      {
        timeout: 100_000,
        interval: 50,
      },
    );
    end.abort();
    await Promise.all(serving);
    await Promise.all(streams.map((each) => each.close()));
    return told;
  }

  const sum = (told: InMemoryTelemetry, name: Parameters<InMemoryTelemetry['values']>[0]): Record<string, number> => {
    const sums: Record<string, number> = {};
    for (const { value, attributes } of told.values(name)) {
      const key = Object.values(attributes).join(' ');
      sums[key] = (sums[key] ?? 0) + value;
    }
    return sums;
  };

  describe('with requests of three prompts, of which one is refused', () => {
    let told: Told;
    beforeAll(async () => {
      const outputs = [request('a', 2), request('b', 3), request('bad', 1)].map((value) =>
        outgoing(topics.samplingRequests, value),
      );
      told = await carriedOut(
        'told-',
        async (learner, { learner: telemetry }) => {
          const call = telemetry.startSpan('StartRun', { kind: 'server' });
          await withinSpan(call, () => learner.append(outputs));
        },
        5,
      );
    }, 120_000);

    it('begins a trace for each request, linked to what has asked for it', () => {
      const [call, ...sends] = told.learner.spans;
      expect(sends.map(({ name, kind, parent, links, ended }) => ({ name, kind, parent, links, ended }))).toEqual(
        Array.from({ length: 3 }, () => ({
          name: 'send sampling.requests',
          kind: 'producer',
          parent: undefined,
          links: [call!.traceparent],
          ended: true,
        })),
      );
      expect(new Set(sends.map(({ traceId }) => traceId)).size).toBe(3);
      expect(sends.map(({ attributes }) => attributes['infalign.prompt.id'])).toEqual(['a', 'b', 'bad']);
    });

    it('follows each prompt from the one who asks over the sampler to the scorer', () => {
      for (const [promptId, samples] of [
        ['a', 2],
        ['b', 3],
      ] as const) {
        const of = (telemetry: InMemoryTelemetry) =>
          telemetry.spans.filter(({ attributes }) => attributes['infalign.prompt.id'] === promptId);
        const [send] = of(told.learner);
        const sampler = of(told.sampler);
        const scorer = of(told.scorer);
        expect(sampler).toMatchObject([
          { name: 'process sampling.requests', kind: 'consumer', parent: send!.traceparent },
        ]);
        // The rollouts of a prompt stand together, but two fetches may part them.
        expect(new Set(scorer.map(({ parent }) => parent))).toEqual(new Set([sampler[0]!.traceparent]));
        expect(
          scorer.reduce((count, { attributes }) => count + Number(attributes['messaging.batch.message_count']), 0),
        ).toBe(samples);
        for (const span of [...sampler, ...scorer]) {
          expect(span.traceId).toBe(send!.traceId);
          expect(span.ended).toBe(true);
          expect(span.attributes).toMatchObject({
            'messaging.system': 'kafka',
            'infalign.run.id': run,
            'infalign.policy.version': 3,
          });
        }
      }
      expect(told.scorer.spans.every(({ attributes }) => attributes['infalign.prompt.id'] !== 'bad')).toBe(true);
    });

    it('counts rollouts, tokens, records and dead letters, and times transactions', () => {
      expect(sum(told.sampler, 'infalign.rollouts')).toEqual({ 'policy-sampler run-1 training': 5 });
      // 1 + 2 of the first prompt, 1 + 2 + 3 of the second.
      expect(sum(told.sampler, 'infalign.tokens')).toEqual({ 'policy-sampler run-1 training': 9 });
      expect(sum(told.scorer, 'infalign.tokens')).toEqual({ 'reward-scorer run-1 training': 9 });
      expect(sum(told.sampler, 'infalign.records.consumed')).toEqual({ 'policy-sampler sampling.requests': 3 });
      expect(sum(told.sampler, 'infalign.records.produced')).toEqual({
        'policy-sampler rollout.sampled': 5,
        'policy-sampler sampling.requests.dead-letter': 1,
      });
      expect(sum(told.learner, 'infalign.records.produced')).toEqual({ 'ppo-learner sampling.requests': 3 });
      expect(sum(told.sampler, 'infalign.dead_letters')).toEqual({ 'policy-sampler sampling.requests': 1 });
      expect(sum(told.scorer, 'infalign.dead_letters')).toEqual({ 'reward-scorer rollout.sampled': 0 });
      // The means of transactions, whichever those were.
      const rewards = told.scorer.values('infalign.reward.raw');
      expect(rewards.length).toBeGreaterThan(0);
      for (const { value, attributes } of rewards) {
        expect(Object.values(attributes)).toEqual(['run-1', 'training']);
        expect(value).toBeLessThanOrEqual(-1);
        expect(value).toBeGreaterThanOrEqual(-3);
      }
      for (const name of ['infalign.transaction.duration', 'infalign.processing.duration'] as const) {
        const values = told.sampler.values(name);
        expect(values.length).toBeGreaterThan(0);
        for (const { value } of values) {
          expect(value).toBeGreaterThan(0);
          expect(value).toBeLessThan(30);
        }
      }
    });

    it('logs what could not be used, with the ids of its trace and without its content', () => {
      const [bad] = told.sampler.spans.filter(({ attributes }) => attributes['infalign.prompt.id'] === 'bad');
      const line = told.lines.find(({ message }) => message === 'records could not be used');
      expect(line).toMatchObject({
        level: 'warn',
        stage: 'policy-sampler',
        deadLetters: 1,
        topic: 'sampling.requests',
        reason: 'it is bad',
        promptId: 'bad',
        promptTokens: '[redacted]',
      });
      const first = told.sampler.spans.filter(
        ({ attributes }) =>
          attributes['messaging.destination.partition.id'] === bad!.attributes['messaging.destination.partition.id'],
      );
      expect(first.map(({ traceId }) => traceId)).toContain(line!['trace_id']);
    });

    it('leaves the records as they are', async () => {
      const values: unknown[] = [];
      for await (const { value } of told.stream.readAll(topics.rolloutSampled)) values.push(value);
      const expected = [request('a', 2), request('b', 3)].flatMap((from) =>
        Array.from({ length: from.samples }, (_, index) => sampled(from, index)),
      );
      expect(values).toHaveLength(5);
      expect(values).toEqual(expect.arrayContaining(expected));
    });
  });

  it('has no spans of records that came without a trace, and tells how far a group is behind while it is one', async () => {
    const told = await carriedOut(
      'silent-',
      (_, { stream }) => stream.append([outgoing(topics.samplingRequests, request('a', 2))]),
      2,
    );
    expect([...told.sampler.spans, ...told.scorer.spans]).toEqual([]);
    expect(sum(told.scorer, 'infalign.rollouts')).toEqual({ 'reward-scorer run-1 training': 2 });
    const telemetry = inMemoryTelemetry();
    const logger = createLogger({ service: 's', level: 'silent' });
    const member = await observedStream(told.stream, { telemetry, logger, service: 's' }).join(
      'late',
      topics.rolloutSampled,
    );
    const lag = await telemetry.observed('infalign.consumer.lag');
    expect(lag).toHaveLength(partitions);
    expect(lag.map(({ attributes }) => attributes)).toContainEqual({
      'infalign.stage': 'late',
      'messaging.destination.name': 'rollout.sampled',
      'messaging.destination.partition.id': 0,
    });
    expect(lag.reduce((total, { value }) => total + value, 0)).toBeGreaterThanOrEqual(2);
    await member.leave();
    expect(await telemetry.observed('infalign.consumer.lag')).toEqual([]);
    await told.stream.close();
  });

  it('tells the log alone where nobody listens', async () => {
    const stream = await open('unobserved-');
    const lines: Record<string, unknown>[] = [];
    const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
    const logger = createLogger({ service: 's', level: 'info', content: true, destination: { write } });
    const unobserved = observedStream(stream, { telemetry: silentTelemetry, logger, service: 's' });
    await unobserved.append([outgoing(topics.samplingRequests, request('bad', 1))]);
    const end = new AbortController();
    const serving = serveStage(unobserved, sampling, { signal: end.signal });
    await vi.waitUntil(() => lines.length > 0, { timeout: 100_000, interval: 50 });
    end.abort();
    await serving;
    expect(lines).toMatchObject([{ message: 'records could not be used', promptTokens: [7, 8, 9] }]);
    await stream.close();
  });
});
