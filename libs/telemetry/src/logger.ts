import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino';
import { redacted } from './redact.js';

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
  /** Gets every line, with its line end. Default: standard error, written before the call returns. */
  destination?: DestinationStream;
}

/**
 * A logger that writes one JSON object a line: `level`, `time` (ISO 8601), `service`, `message` and the fields given.
 *
 * Secrets and the text of prompts and responses never appear: see {@link redacted}.
 */
export function createLogger({ service, level, destination }: LoggerOptions): Logger {
  return redacting(
    pino(
      {
        level,
        base: { service },
        messageKey: 'message',
        timestamp: pino.stdTimeFunctions.isoTime,
        formatters: { level: (label) => ({ level: label }) },
        // Errors have been made plain by then.
        serializers: { err: (value: unknown) => value },
      },
      destination ?? pino.destination({ fd: 2, sync: true }),
    ),
  );
}

/** Children of pino's loggers do not inherit its formatters, so redaction stands before pino. */
function redacting(target: PinoLogger): Logger {
  return {
    debug: (fields, message) => target.isLevelEnabled('debug') && target.debug(redacted(fields), message),
    info: (fields, message) => target.isLevelEnabled('info') && target.info(redacted(fields), message),
    warn: (fields, message) => target.isLevelEnabled('warn') && target.warn(redacted(fields), message),
    error: (fields, message) => target.isLevelEnabled('error') && target.error(redacted(fields), message),
    child: (fields) => redacting(target.child(redacted(fields))),
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
