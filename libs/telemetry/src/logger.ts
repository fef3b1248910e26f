import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { redacted } from './redact.js';
import { activeSpan } from './trace-span.js';

/** Levels, from what is read only when looking for a fault to what needs a person. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent';

/** What a log line says besides its message. An error goes under `err`. */
export type LogFields = Readonly<Record<string, unknown>>;

/** Where a library writes its log. Fields are searched by machines, the message is read by people. */
export interface Logger {
  debug(fields: LogFields, message: string): void;
  info(fields: LogFields, message: string): void;
  warn(fields: LogFields, message: string): void;
  error(fields: LogFields, message: string): void;
  /** A logger whose lines all have these fields too. */
  child(fields: LogFields): Logger;
}

/** How to log. */
export interface LoggerOptions {
  /** Name of the program that logs; on every line as `service`. */
  service: string;
  /** The least level that is written. */
  level: LogLevel;
  /** Whether prompts and responses may be shown, where they are logged; default false. */
  content?: boolean;
  /** Gets every line, with its line end. Default: standard error, written before the call returns. */
  destination?: DestinationStream;
}

/**
 * A logger that writes one JSON object a line: `level`, `time` (ISO 8601), `service`, `message` and the fields given; within
 * a span, its `trace_id` and `span_id` too.
 *
 * Secrets never appear, and the text of prompts and responses only where it is asked for: see {@link redacted}.
 */
export function createLogger({ service, level, content = false, destination }: LoggerOptions): Logger {
  return redacting(
    pino(
      {
        level,
        base: { service },
        messageKey: 'message',
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        mixin: traceFields,
        // Errors have been made plain by then.
        serializers: { err: (value: unknown) => value },
      },
      destination ?? pino.destination({ fd: 2, sync: true }),
    ),
    content,
  );
}

/** As OpenTelemetry names them in logs of other formats. */
function traceFields(): LogFields {
  const span = activeSpan();
  return span ? { trace_id: span.traceId, span_id: span.spanId } : {};
}

/** Children of pino's loggers do not inherit its formatters, so redaction stands before pino. */
function redacting(target: PinoLogger, content: boolean): Logger {
  const shown = (fields: LogFields): LogFields => redacted(fields, content);
  return {
    debug: (fields, message) => target.isLevelEnabled('debug') && target.debug(shown(fields), message),
    info: (fields, message) => target.isLevelEnabled('info') && target.info(shown(fields), message),
    warn: (fields, message) => target.isLevelEnabled('warn') && target.warn(shown(fields), message),
    error: (fields, message) => target.isLevelEnabled('error') && target.error(shown(fields), message),
    child: (fields) => redacting(target.child(shown(fields)), content),
  };
}

/** Logs nothing: the default of libraries that take a logger. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};
