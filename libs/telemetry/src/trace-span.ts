import { AsyncLocalStorage } from 'node:async_hooks';
import { ROOT_CONTEXT, trace, type Context } from '@opentelemetry/api';
import { parseTraceParent } from '@opentelemetry/core';

/** A piece of work in a trace that is kept. */
export interface TraceSpan {
  /** 16 bytes, hexadecimal. */
  readonly traceId: string;
  /** 8 bytes, hexadecimal. */
  readonly spanId: string;
  /** Its W3C trace context, for whatever it causes. */
  readonly traceparent: string;
  set(attributes: Readonly<Record<string, string | number | boolean>>): void;
  /** Says that the work has failed, and why; no content of prompts belongs there. */
  fail(reason: string): void;
  /** @param endTime milliseconds since the epoch; without it, now */
  end(endTime?: number): void;
}

/** The span in which this process is where it is asked for; it follows asynchronous calls. */
const active = new AsyncLocalStorage<TraceSpan>();

/**
 * Does work within a span: what is logged and started meanwhile belongs to it. Without a span, it is just done. From the first span on,
 * every promise of the process costs more, whose spans Node then follows: not for what rarely logs or starts anything.
 */
export function withinSpan<T>(span: TraceSpan | undefined, work: () => T): T {
  return span ? active.run(span, work) : work();
}

/** The span that work is done within, if any. */
export function activeSpan(): TraceSpan | undefined {
  return active.getStore();
}

/** Whether a W3C trace context is one of a trace that is kept. */
export function isSampled(traceparent: string): boolean {
  const parsed = parseTraceParent(traceparent);
  return parsed !== null && (parsed.traceFlags & 1) === 1;
}

/** A context of OpenTelemetry below the span that a W3C trace context names; below none where it is malformed. */
export function contextBelow(traceparent: string | undefined): Context {
  const parsed = traceparent === undefined ? null : parseTraceParent(traceparent);
  if (!parsed) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, { ...parsed, isRemote: true });
}
