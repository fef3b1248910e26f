import {
  diag,
  DiagLogLevel,
  SpanKind,
  SpanStatusCode,
  type Attributes,
  type DiagLogger,
  type Meter,
  type ObservableCounter,
  type ObservableGauge,
  type ObservableResult,
  type Span,
} from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-proto';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader, type IMetricReader } from '@opentelemetry/sdk-metrics';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type SpanProcessor,
} from '@opentelemetry/sdk-trace';
import { latestOfGauges } from './latest-of-gauges.js';
import type { Logger } from './logger.js';
import { metricDefinition, metrics, type MetricName, type RecordingService } from './metrics.js';
import { observeProcess } from './process-metrics.js';
import { scrapeEndpoint, type ScrapeEndpoint } from './scrape-endpoint.js';
import type { ObservedMetric, SpanOptions, Telemetry } from './telemetry.js';
import { contextBelow, type TraceSpan } from './trace-span.js';

/** Where telemetry goes. */
export interface TelemetryOptions {
  readonly service: RecordingService;
  /** Tells this process from others of the service; in every metric and span. */
  readonly instance: string;
  /** Metrics and traces are sent over OTLP (HTTP, protobuf). */
  readonly otlp?: {
    /** Such as `http://127.0.0.1:4318`; `/v1/metrics` and `/v1/traces` are below it. */
    readonly endpoint: string;
    /** How often metrics are sent, in milliseconds. */
    readonly intervalMs: number;
    /** The share of traces begun here that is kept, in [0, 1]; of a trace that others have begun, what they decided holds. */
    readonly traceShare: number;
  };
  /** Prometheus is answered. */
  readonly prometheus?: {
    readonly host: string;
    /** 0 takes a free one. */
    readonly port: number;
  };
  /** Told when telemetry cannot be sent, or not all of it. */
  readonly logger: Logger;
}

/** Telemetry that goes somewhere. */
export interface OpenTelemetry extends Telemetry {
  /** Where Prometheus finds the metrics, if it does. */
  readonly scrapeUrl: string | undefined;
  /** Sends what has not been sent, for some seconds at most. */
  close(): Promise<void>;
}

/** How long the end waits for those who listen. */
const lastWordsMs = 3000;

/**
 * Opens telemetry.
 *
 * @throws InputError if the address for Prometheus is taken or none of this machine
 */
export async function openTelemetry(options: TelemetryOptions): Promise<OpenTelemetry> {
  const { service, instance, otlp, prometheus, logger } = options;
  diag.setLogger(exportLog(logger), { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const resource = resourceFromAttributes({
    'service.name': service,
    'service.namespace': 'infalign',
    'service.instance.id': instance,
  });
  const endpoint = otlp?.endpoint.replace(/\/$/, '');
  const readers: IMetricReader[] = [];
  let scraped: ScrapeEndpoint | undefined;
  if (prometheus) {
    scraped = await scrapeEndpoint(prometheus.host, prometheus.port, logger);
    readers.push(scraped.reader);
  }
  if (otlp) {
    readers.push(
      new PeriodicExportingMetricReader({
        exporter: Object.assign(new OTLPMetricExporter({ url: `${endpoint}/v1/metrics` }), {
          selectAggregationTemporality: latestOfGauges,
        }),
        exportIntervalMillis: otlp.intervalMs,
        exportTimeoutMillis: otlp.intervalMs,
      }),
    );
  }
  const meters = new MeterProvider({ resource, readers });
  const processors: SpanProcessor[] = otlp
    ? [new BatchSpanProcessor({ exporter: new OTLPTraceExporter({ url: `${endpoint}/v1/traces` }) })]
    : [];
  const tracers = new TracerProvider({
    resource,
    spanProcessors: processors,
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(otlp?.traceShare ?? 0) }),
  });
  const tracer = tracers.getTracer('infalign');
  const { record, observe } = instruments(meters.getMeter('infalign'));
  const telemetry: OpenTelemetry = {
    enabled: true,
    scrapeUrl: scraped?.url,
    record,
    observe,
    startSpan(name, spanOptions) {
      if (!otlp) return undefined;
      const { kind, parent, links = [], attributes = {}, startTime } = spanOptions;
      const span = tracer.startSpan(
        name,
        {
          kind: spanKinds[kind],
          attributes,
          links: links.flatMap((link) => parseTraceParent(link) ?? []).map((linked) => ({ context: linked })),
          ...(startTime !== undefined && { startTime }),
        },
        contextBelow(parent),
      );
      return span.isRecording() ? traceSpan(span) : undefined;
    },
    async close() {
      const ended = Promise.allSettled([meters.shutdown(), tracers.shutdown(), scraped?.close()]);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, lastWordsMs).unref())]);
      stopObserving();
    },
  };
  const stopObserving = observeProcess(telemetry);
  return telemetry;
}

const spanKinds: Readonly<Record<SpanOptions['kind'], SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  consumer: SpanKind.CONSUMER,
  producer: SpanKind.PRODUCER,
};

function traceSpan(span: Span): TraceSpan {
  const { traceId, spanId } = span.spanContext();
  return {
    traceId,
    spanId,
    traceparent: `00-${traceId}-${spanId}-01`,
    set: (attributes) => void span.setAttributes(attributes),
    fail: (message) => void span.setStatus({ code: SpanStatusCode.ERROR, message }),
    end: (endTime) => span.end(endTime),
  };
}

/** The instruments of all metrics, as they are used. */
function instruments(meter: Meter): Pick<Telemetry, 'record' | 'observe'> {
  const recorders = new Map<MetricName, (value: number, attributes: Attributes) => void>();
  const observed = new Map<MetricName, ObservableCounter | ObservableGauge>();
  for (const name of Object.keys(metrics) as MetricName[]) {
    const { kind, unit, description, buckets } = metricDefinition(name);
    const options = { unit, description };
    switch (kind) {
      case 'counter': {
        const counter = meter.createCounter(name, options);
        recorders.set(name, (value, attributes) => counter.add(value, attributes));
        break;
      }
      case 'gauge': {
        const gauge = meter.createGauge(name, options);
        recorders.set(name, (value, attributes) => gauge.record(value, attributes));
        break;
      }
      case 'histogram': {
        const advice = { explicitBucketBoundaries: [...buckets!] };
        const histogram = meter.createHistogram(name, { ...options, advice });
        recorders.set(name, (value, attributes) => histogram.record(value, attributes));
        break;
      }
      case 'observed counter':
        observed.set(name, meter.createObservableCounter(name, options));
        break;
      case 'observed gauge':
        observed.set(name, meter.createObservableGauge(name, options));
        break;
    }
  }
  return {
    record: (name, value, attributes) => recorders.get(name)!(value, attributes),
    observe(name: ObservedMetric, look) {
      const instrument = observed.get(name)!;
      const callback = async (result: ObservableResult): Promise<void> => {
        for (const { value, attributes } of await look()) result.observe(value, attributes);
      };
      instrument.addCallback(callback);
      return () => instrument.removeCallback(callback);
    },
  };
}

/** Trouble comes with every attempt: it is told once in so long. */
const tellAgainMs = 60_000;

/** What OpenTelemetry has to say: that it cannot send, or that what is to be looked up cannot be in time. */
function exportLog(logger: Logger): DiagLogger {
  let toldAt = -Infinity;
  const tell = (message: string, ...details: unknown[]): void => {
    if (performance.now() - toldAt < tellAgainMs) return;
    toldAt = performance.now();
    logger.warn(
      { detail: [message, ...details].map(String).join(' ').slice(0, 500) },
      'telemetry is not sent, or not all of it',
    );
  };
  const nothing = (): void => undefined;
  return { error: tell, warn: tell, info: nothing, debug: nothing, verbose: nothing };
}
