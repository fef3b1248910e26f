import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { createLogger, silentLogger } from './logger.js';
import { metricDefinition, metrics, prometheusLabel, prometheusName, type MetricName } from './metrics.js';
import { openTelemetry, type OpenTelemetry, type TelemetryOptions } from './open-telemetry.js';
import type { ObservedMetric, RecordedMetric, Telemetry } from './telemetry.js';
import { activeSpan, isSampled, withinSpan } from './trace-span.js';

const opened: OpenTelemetry[] = [];
const servers: Server[] = [];

afterEach(async () => {
  await Promise.all(opened.splice(0).map((telemetry) => telemetry.close()));
  for (const server of servers.splice(0)) server.close();
});

async function open(options: Partial<TelemetryOptions>): Promise<OpenTelemetry> {
  const telemetry = await openTelemetry({
    service: 'calibrator',
    instance: 'test-1',
    logger: silentLogger,
    ...options,
  });
  opened.push(telemetry);
  return telemetry;
}

async function scraped(telemetry: OpenTelemetry): Promise<string> {
  return (await fetch(telemetry.scrapeUrl!)).text();
}

/** A server that takes what is sent to it, by path. */
async function listener(status = 200): Promise<{ endpoint: string; bodies: (path: string) => Buffer[] }> {
  const received = new Map<string, Buffer[]>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.set(request.url!, [...(received.get(request.url!) ?? []), Buffer.concat(chunks)]);
      response.writeHead(status).end();
    });
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { endpoint: `http://127.0.0.1:${port}`, bodies: (path) => received.get(path) ?? [] };
}

/** A value for every metric there is, each with all its attributes. */
function recordAll(telemetry: Telemetry): void {
  for (const name of Object.keys(metrics) as MetricName[]) {
    const { kind, attributes } = metricDefinition(name);
    const values = Object.fromEntries(attributes.map((attribute) => [attribute, `some ${attribute}`]));
    if (kind.startsWith('observed')) {
      telemetry.observe(name as ObservedMetric, () => [{ value: 3, attributes: values as never }]);
    } else telemetry.record(name as RecordedMetric, 3, values as never);
  }
}

describe('the catalogue of metrics', () => {
  it('has names as OpenTelemetry wants them, a sentence for each, and buckets for histograms only', () => {
    for (const [name, { kind, description, unit, buckets, services }] of Object.entries(metrics).map(
      ([each]) => [each, metricDefinition(each as MetricName)] as const,
    )) {
      expect(name).toMatch(/^[a-z0-9]+([._][a-z0-9]+)+$/);
      expect(description, name).toMatch(/^[A-Z].*\.$/);
      expect(unit, name).toMatch(/^(s|By|1|\{[a-z]+\})$/);
      expect(buckets !== undefined, name).toBe(kind === 'histogram');
      expect([...(buckets ?? [])].sort((a, b) => a - b)).toEqual(buckets ?? []);
      // A histogram leaves out what is below 0.
      expect(Math.min(...(buckets ?? [1])), name).toBeGreaterThan(0);
      expect(services.length, name).toBeGreaterThan(0);
    }
  });

  it.each([
    ['infalign.rollouts', 'infalign_rollouts_total'],
    ['infalign.consumer.lag', 'infalign_consumer_lag'],
    ['infalign.transaction.duration', 'infalign_transaction_duration_seconds'],
    ['infalign.win_rate', 'infalign_win_rate_ratio'],
    ['infalign.reward.calibrated', 'infalign_reward_calibrated'],
    ['infalign.learner.waiting.time', 'infalign_learner_waiting_time_seconds_total'],
    ['infalign.checkpoint.io', 'infalign_checkpoint_io_bytes_total'],
    ['process.memory.usage', 'process_memory_usage_bytes'],
  ] as const)('calls %s %s in Prometheus', (name, expected) => {
    expect(prometheusName(name)).toBe(expected);
  });

  it('has no two metrics of one name in Prometheus', () => {
    const names = (Object.keys(metrics) as MetricName[]).map(prometheusName);
    expect(new Set(names).size).toBe(names.length);
  });
});

describe('what Prometheus is answered', () => {
  it('has every metric of the catalogue, by its name, kind, text and labels', async () => {
    const telemetry = await open({ prometheus: { host: '127.0.0.1', port: 0 } });
    recordAll(telemetry);
    const text = await scraped(telemetry);
    for (const name of Object.keys(metrics) as MetricName[]) {
      const { kind, description, attributes } = metricDefinition(name);
      const known = prometheusName(name);
      expect(text).toContain(`# HELP ${known} ${description}\n`);
      expect(text).toContain(`# TYPE ${known} ${kind.split(' ').at(-1)}\n`);
      const series = kind === 'histogram' ? `${known}_sum` : known;
      const line = text.split('\n').find((each) => each.startsWith(`${series}{`))!;
      for (const attribute of attributes) expect(line).toContain(`${prometheusLabel(attribute)}="some ${attribute}"`);
      expect(line).toContain('service_name="calibrator"');
    }
  });

  it('adds up counters, keeps the latest of gauges, and puts values into the buckets of their histogram', async () => {
    const telemetry = await open({ prometheus: { host: '127.0.0.1', port: 0 } });
    const run = { 'infalign.run.id': 'r' };
    telemetry.record('infalign.calibration.drifts', 2, run);
    telemetry.record('infalign.calibration.drifts', 3, run);
    telemetry.record('infalign.win_rate', 0.6, run);
    telemetry.record('infalign.win_rate', 0.7, run);
    telemetry.record('infalign.reward.raw', -2.5, { ...run, 'infalign.purpose': 'training' });
    for (const value of [0.05, 0.15, 0.95]) {
      telemetry.record('infalign.reward.calibrated', value, { ...run, 'infalign.purpose': 'training' });
    }
    const text = await scraped(telemetry);
    expect(text).toMatch(/^infalign_calibration_drifts_total\{.*\} 5$/m);
    expect(text).toMatch(/^infalign_win_rate_ratio\{.*\} 0.7$/m);
    expect(text).toMatch(/^infalign_reward_raw\{.*\} -2.5$/m);
    expect(text).toMatch(/^infalign_reward_calibrated_bucket\{.*le="0.1"\} 1$/m);
    expect(text).toMatch(/^infalign_reward_calibrated_bucket\{.*le="0.2"\} 2$/m);
    expect(text).toMatch(/^infalign_reward_calibrated_bucket\{.*le="\+Inf"\} 3$/m);
  });

  it('tells of the process: memory above its heap, processor time that grows, an event loop that was held up', async () => {
    const telemetry = await open({ prometheus: { host: '127.0.0.1', port: 0 } });
    const value = (text: string, name: string): number =>
      Number(new RegExp(`^${name}\\{.*\\} (.*)$`, 'm').exec(text)![1]);
    const first = await scraped(telemetry);
    expect(value(first, 'process_memory_usage_bytes')).toBeGreaterThan(value(first, 'v8js_memory_heap_used_bytes'));
    const started = Date.now() / 1000 - process.uptime();
    expect(Math.abs(value(first, 'process_start_time_seconds') - started)).toBeLessThan(1);
    await sleep(50);
    for (const end = performance.now() + 300; performance.now() < end;);
    await sleep(50);
    const second = await scraped(telemetry);
    const seconds = value(second, 'process_cpu_time_seconds_total') - value(first, 'process_cpu_time_seconds_total');
    expect(seconds).toBeGreaterThan(0.05);
    expect(value(second, 'nodejs_eventloop_delay_p99_seconds')).toBeGreaterThan(0.2);
  });

  it('leaves out what is not looked up any more, and what cannot be looked up', async () => {
    const telemetry = await open({ prometheus: { host: '127.0.0.1', port: 0 } });
    const attributes = { 'infalign.run.id': 'r' };
    const end = telemetry.observe('infalign.policy.age', () => [{ value: 5, attributes }]);
    telemetry.observe('infalign.learner.waiting.time', () => Promise.reject(new Error('no')));
    expect(await scraped(telemetry)).toContain('infalign_policy_age_seconds{');
    end();
    const text = await scraped(telemetry);
    expect(text).not.toContain('infalign_policy_age_seconds');
    expect(text).toContain('process_memory_usage_bytes');
  });

  it('is at /metrics only, and for GET only', async () => {
    const telemetry = await open({ prometheus: { host: '127.0.0.1', port: 0 } });
    const at = (path: string, method = 'GET') => fetch(new URL(path, telemetry.scrapeUrl), { method });
    expect((await at('/')).status).toBe(404);
    expect((await at('/metrics', 'POST')).status).toBe(405);
    const answer = await at('/metrics?x=1');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  });

  it('needs a port that is free', async () => {
    const { scrapeUrl } = await open({ prometheus: { host: '127.0.0.1', port: 0 } });
    const port = Number(new URL(scrapeUrl!).port);
    await expect(open({ prometheus: { host: '127.0.0.1', port } })).rejects.toThrow(
      /127\.0\.0\.1:\d+: cannot serve metrics there \(.*EADDRINUSE.*\); choose a free port/,
    );
  });
});

describe('traces', () => {
  const parent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const unwanted = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';
  const otlp = (endpoint: string, traceShare: number) => ({ otlp: { endpoint, intervalMs: 60_000, traceShare } });

  it('go on from where they come from, and are sent when telemetry is closed', async () => {
    const { endpoint, bodies } = await listener();
    const telemetry = await open(otlp(endpoint, 0));
    const span = telemetry.startSpan('process rollout.sampled', { kind: 'consumer', parent })!;
    expect(span.traceId).toBe('0af7651916cd43dd8448eb211c80319c');
    expect(span.spanId).not.toBe('b7ad6b7169203331');
    expect(span.traceparent).toBe(`00-${span.traceId}-${span.spanId}-01`);
    span.end();
    await telemetry.close();
    const sent = Buffer.concat(bodies('/v1/traces'));
    expect(sent.includes('process rollout.sampled')).toBe(true);
    expect(sent.includes(Buffer.from(span.traceId, 'hex'))).toBe(true);
    expect(sent.includes(Buffer.from('b7ad6b7169203331', 'hex'))).toBe(true);
    expect(Buffer.concat(bodies('/v1/metrics')).includes('process.memory.usage')).toBe(true);
  });

  it('that nobody wanted are not kept, nor their continuations; of those begun here, the share asked for', async () => {
    const { endpoint } = await listener();
    const all = await open(otlp(endpoint, 1));
    expect(all.startSpan('a', { kind: 'server' })).toBeDefined();
    expect(all.startSpan('a', { kind: 'server', parent: unwanted })).toBeUndefined();
    expect(all.startSpan('a', { kind: 'server', parent: 'nonsense' })).toBeDefined();
    const quarter = await open(otlp(endpoint, 0.25));
    const kept = Array.from({ length: 2000 }, () => quarter.startSpan('a', { kind: 'server' })).filter(Boolean).length;
    // Five standard deviations.
    expect(Math.abs(kept - 500)).toBeLessThan(97);
    const metricsOnly = await open({ prometheus: { host: '127.0.0.1', port: 0 } });
    expect(metricsOnly.startSpan('a', { kind: 'server', parent })).toBeUndefined();
  });

  it('are told apart by their flag', () => {
    expect([parent, unwanted, 'nonsense', ''].map(isSampled)).toEqual([true, false, false, false]);
  });

  it('put their ids into what is logged within a span, across asynchronous calls, and nowhere else', async () => {
    const { endpoint } = await listener();
    const telemetry = await open(otlp(endpoint, 1));
    const lines: Record<string, unknown>[] = [];
    const write = (line: string): void => void lines.push(JSON.parse(line) as Record<string, unknown>);
    const logger = createLogger({ service: 's', level: 'info', destination: { write } });
    const span = telemetry.startSpan('a', { kind: 'server' })!;
    await withinSpan(span, async () => {
      await sleep(1);
      logger.child({ stage: 'x' }).info({}, 'within');
      expect(activeSpan()).toBe(span);
    });
    logger.info({}, 'after');
    withinSpan(undefined, () => logger.info({}, 'without'));
    expect(lines[0]).toMatchObject({ message: 'within', stage: 'x', trace_id: span.traceId, span_id: span.spanId });
    for (const line of lines.slice(1)) expect(Object.keys(line)).not.toContain('trace_id');
  });

  it('that cannot be sent are told of once, and do not keep the process from its end', async () => {
    const { endpoint } = await listener(400);
    const lines: string[] = [];
    const logger = createLogger({
      service: 's',
      level: 'warn',
      destination: { write: (line) => void lines.push(line) },
    });
    const telemetry = await open({ ...otlp(endpoint, 1), logger });
    telemetry.startSpan('a', { kind: 'server' })!.end();
    await telemetry.close();
    expect(lines.filter((line) => line.includes('telemetry is not sent'))).toHaveLength(1);
  });
});
