export {
  createLogger,
  silentLogger,
  type LogFields,
  type Logger,
  type LoggerOptions,
  type LogLevel,
} from './logger.js';
export {
  attributes,
  metricDefinition,
  metrics,
  prometheusLabel,
  prometheusName,
  type AttributeName,
  type MetricDefinition,
  type MetricName,
  type RecordingService,
} from './metrics.js';
export { openTelemetry, type OpenTelemetry, type TelemetryOptions } from './open-telemetry.js';
export {
  silentTelemetry,
  type AttributesOf,
  type Observation,
  type ObservedMetric,
  type RecordedMetric,
  type SpanOptions,
  type Telemetry,
} from './telemetry.js';
export { activeSpan, isSampled, withinSpan, type TraceSpan } from './trace-span.js';
export { inMemoryTelemetry, type InMemoryTelemetry, type KeptSpan } from './in-memory-telemetry.js';
