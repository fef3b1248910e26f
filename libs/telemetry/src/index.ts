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
