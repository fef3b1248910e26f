import { createLogger, inMemoryTelemetry } from '@infalign/telemetry';
import { expect, it } from 'vitest';
import { RpcError } from './rpc-error.js';
import { evaluator, evaluatorClient, scorer, scorerClient, serve, thrownBy } from './rpc.fixture.js';

const listModels = 'infalign.v1.RewardScorerService/ListRewardModels';

it('a trace goes on from the client through a server to the server that its handler calls', async () => {
  const [inner, outer] = [inMemoryTelemetry(), inMemoryTelemetry()];
  const innerServer = await serve({ services: [scorer()], telemetry: inner });
  const innerClient = scorerClient(innerServer.address);
  const outerServer = await serve({
    services: [scorer({ listRewardModels: (_, context) => innerClient.listRewardModels({}, { context }) })],
    telemetry: outer,
  });
  await scorerClient(outerServer.address).listRewardModels({});
  const [outerSpan] = outer.spans;
  expect(outerSpan).toMatchObject({
    name: listModels,
    kind: 'server',
    parent: undefined,
    ended: true,
    failure: '',
    attributes: { 'rpc.system.name': 'grpc', 'rpc.method': listModels, 'rpc.response.status_code': 'OK' },
  });
  expect(inner.spans).toMatchObject([{ traceId: outerSpan!.traceId, parent: outerSpan!.traceparent }]);
});

it('a trace that is not kept has no spans, and what its handler calls is told that it is not kept', async () => {
  const telemetry = inMemoryTelemetry();
  const unwanted = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00';
  const seen: (string | undefined)[] = [];
  const server = await serve({
    services: [
      scorer({
        listRewardModels(_, context) {
          seen.push(context.traceparent);
          return Promise.resolve({ models: [] });
        },
      }),
    ],
    telemetry,
  });
  const context = {
    method: '',
    callId: '',
    caller: '',
    deadline: Infinity,
    signal: new AbortController().signal,
    traceparent: unwanted,
  };
  await scorerClient(server.address).listRewardModels({}, { context });
  expect(telemetry.spans).toEqual([]);
  expect(seen).toEqual([unwanted]);
});

it('calls are timed by method and status, streams and failures included', async () => {
  const telemetry = inMemoryTelemetry();
  const refused = new RpcError('NOT_FOUND', 'RUN_UNKNOWN', 'no such run');
  const server = await serve({
    services: [scorer({ listRewardModels: () => Promise.reject(refused) }), evaluator()],
    telemetry,
  });
  await thrownBy(scorerClient(server.address).listRewardModels({}));
  for await (const _ of evaluatorClient(server.address).evaluate({ runId: 'r', policyVersion: 1 })) expect(_).toBe(1);
  const timed = telemetry.values('rpc.server.call.duration');
  expect(timed.map(({ attributes }) => attributes)).toEqual([
    { 'rpc.method': listModels, 'rpc.response.status_code': 'NOT_FOUND' },
    { 'rpc.method': 'infalign.v1.EvaluatorService/Evaluate', 'rpc.response.status_code': 'OK' },
  ]);
  for (const { value } of timed) {
    expect(value).toBeGreaterThan(0);
    expect(value).toBeLessThan(10);
  }
  expect(telemetry.spans.map(({ failure }) => failure)).toEqual(['RUN_UNKNOWN', '']);
});

it('what a call logs has the ids of its trace', async () => {
  const telemetry = inMemoryTelemetry();
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
  const logger = createLogger({ service: 's', level: 'info', destination: { write } });
  const handler = async () => {
    await new Promise((resolve) => setTimeout(resolve, 1));
    logger.info({}, 'handled');
    return { models: [] };
  };
  const server = await serve({ services: [scorer({ listRewardModels: handler })], telemetry, logger });
  await scorerClient(server.address).listRewardModels({});
  const [span] = telemetry.spans;
  for (const message of ['handled', 'call']) {
    expect(lines.find((line) => line['message'] === message)).toMatchObject({
      trace_id: span!.traceId,
      span_id: span!.spanId,
    });
  }
  expect(lines.find((line) => line['message'] === 'listening')).not.toHaveProperty('trace_id');
});
