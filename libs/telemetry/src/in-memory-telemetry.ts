import { randomBytes } from 'node:crypto';
import type { MetricName } from './metrics.js';
import type { Observation, ObservedMetric, SpanOptions, Telemetry } from './telemetry.js';
import { isSampled, type TraceSpan } from './trace-span.js';

/** A span as it was told of. */
export interface KeptSpan extends Pick<TraceSpan, 'traceId' | 'spanId' | 'traceparent'> {
  readonly name: string;
  readonly kind: SpanOptions['kind'];
  readonly parent: string | undefined;
  readonly links: readonly string[];
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
  /** Why it failed; empty if it did not. */
  readonly failure: string;
  /** Whether it has ended. */
  readonly ended: boolean;
}

/** Telemetry that stays in this process. */
export interface InMemoryTelemetry extends Telemetry {
  /** All spans, in the order in which they were started. */
  readonly spans: readonly KeptSpan[];
  /** All values recorded of a metric, in order. */
  values(name: MetricName): readonly { readonly value: number; readonly attributes: object }[];
  /** What is observed of a metric now. */
  observed(name: ObservedMetric): Promise<readonly { readonly value: number; readonly attributes: object }[]>;
}

/** Keeps everything that it is told, every trace that is begun here included: to look at what a part tells of itself. */
export function inMemoryTelemetry(): InMemoryTelemetry {
  const spans: KeptSpan[] = [];
  const values: { name: MetricName; value: number; attributes: object }[] = [];
  const looks = new Set<{ name: ObservedMetric; look: () => unknown }>();
  return {
    enabled: true,
    spans,
    values: (name) =>
      values.filter((each) => each.name === name).map(({ value, attributes }) => ({ value, attributes })),
    async observed(name) {
      const found: Observation<typeof name>[] = [];
      for (const each of looks) if (each.name === name) found.push(...((await each.look()) as typeof found));
      return found;
    },
    record: (name, value, attributes) => void values.push({ name, value, attributes }),
    observe(name, look) {
      const observation = { name, look };
      looks.add(observation);
      return () => void looks.delete(observation);
    },
    startSpan(name, { kind, parent, links = [], attributes = {} }) {
      if (parent !== undefined && !isSampled(parent)) return undefined;
      const traceId = parent?.split('-')[1] ?? randomBytes(16).toString('hex');
      const spanId = randomBytes(8).toString('hex');
      const ids = { traceId, spanId, traceparent: `00-${traceId}-${spanId}-01` };
      const span = { ...ids, name, kind, parent, links, attributes: { ...attributes }, failure: '', ended: false };
      spans.push(span);
      return {
        ...ids,
        set: (more) => void Object.assign(span.attributes, more),
        fail: (reason) => void (span.failure = reason),
        end: () => void (span.ended = true),
      };
    },
  };
}
