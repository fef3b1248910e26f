import type { MetricName, metrics } from './metrics.js';
import type { TraceSpan } from './trace-span.js';

type Metrics = typeof metrics;

/** Metrics that are recorded when something happens. */
export type RecordedMetric = {
  [Name in MetricName]: Metrics[Name]['kind'] extends 'counter' | 'gauge' | 'histogram' ? Name : never;
}[MetricName];

/** Metrics that are looked up when metrics are collected. */
export type ObservedMetric = Exclude<MetricName, RecordedMetric>;

/** The attributes that a value of a metric has: all that its definition names. */
export type AttributesOf<Name extends MetricName> = Readonly<
  Record<Metrics[Name]['attributes'][number], string | number>
>;

/** A value of an observed metric. */
export interface Observation<Name extends ObservedMetric> {
  readonly value: number;
  readonly attributes: AttributesOf<Name>;
}

/** What a span is started with. */
export interface SpanOptions {
  /** `server` and `consumer`: works on what another one asked for; `producer`: asks others, and does not wait. */
  readonly kind: 'internal' | 'server' | 'consumer' | 'producer';
  /** The W3C trace context of the span that this one belongs to; without one, it begins a trace. */
  readonly parent?: string | undefined;
  /** The W3C trace contexts of other spans that it has to do with. */
  readonly links?: readonly string[];
  readonly attributes?: Readonly<Record<string, string | number | boolean>>;
  /** Milliseconds since the epoch; without it, now. */
  readonly startTime?: number;
}

/** Where a library tells what it does: metrics and traces. */
export interface Telemetry {
  /** Whether anybody listens: where not, nothing has to be computed for it. */
  readonly enabled: boolean;
  /** Adds to a counter, sets a gauge, or puts a value into a histogram. */
  record<Name extends RecordedMetric>(name: Name, value: number, attributes: AttributesOf<Name>): void;
  /**
   * Has a metric looked up whenever metrics are collected.
   *
   * @returns ends that
   */
  observe<Name extends ObservedMetric>(
    name: Name,
    look: () => readonly Observation<Name>[] | Promise<readonly Observation<Name>[]>,
  ): () => void;
  /** @returns nothing where the trace is none of those that are kept */
  startSpan(name: string, options: SpanOptions): TraceSpan | undefined;
}

/** Tells nobody: the default of libraries that take telemetry. */
export const silentTelemetry: Telemetry = {
  enabled: false,
  record: () => undefined,
  observe: () => () => undefined,
  startSpan: () => undefined,
};
