import { parseArgs } from 'node:util';
import { InputError } from '@infalign/core';
import { loadServices } from '@infalign/run-config';
import { createLogger } from '@infalign/telemetry';
import { runService } from './run-service.js';
import { openServiceTelemetry } from './service-telemetry.js';
import type { StoreCredentials } from './service-parts.js';
import type { Service } from './service.js';

/** What the program of a service is given by its process. */
export interface ServiceProcess {
  /** Without the interpreter and the script. */
  readonly args: readonly string[];
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Loads the native library, with so many threads; before anything computes. */
  loadBackend?(threads: number): Promise<unknown>;
  /** Told the signals to end at. */
  onSignal(end: () => void): void;
  print(text: string): void;
  printError(text: string): void;
}

/**
 * The program of a service.
 *
 * @returns the exit code: 0 when it was told to end; 1 for a mistake in its settings, 2 in its arguments; 70 for anything
 *   else, after which it is to be started again
 */
export async function serviceMain(service: Service, program: ServiceProcess): Promise<number> {
  const { title } = service;
  let options: { config?: string; port?: string; 'metrics-port'?: string; help?: boolean };
  try {
    options = parseArgs({
      args: [...program.args],
      options: {
        config: { type: 'string' },
        port: { type: 'string' },
        'metrics-port': { type: 'string' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
    for (const name of ['port', 'metrics-port'] as const) {
      const value = options[name];
      if (value !== undefined && !/^\d{1,5}$/.test(value)) throw new Error(`--${name} must be a port number`);
    }
  } catch (error) {
    program.printError(`${title}: ${error instanceof Error ? error.message : String(error)}\n${usage(title)}`);
    return 2;
  }
  if (options.help === true) {
    program.print(usage(title));
    return 0;
  }
  const ended = new AbortController();
  program.onSignal(() => ended.abort());
  try {
    const file = options.config ?? program.environment.INFALIGN_SERVICES;
    if (file === undefined) throw new InputError('no services file: give --config FILE, or set INFALIGN_SERVICES');
    const services = await loadServices(file);
    const content = services.telemetry.logContent;
    const logger = createLogger({ service: title, level: services.logLevel, content });
    const metricsPort = options['metrics-port'];
    const telemetry = await openServiceTelemetry(
      service,
      services,
      logger,
      metricsPort === undefined ? undefined : Number(metricsPort),
    );
    try {
      if (telemetry?.scrapeUrl !== undefined) program.print(`${title} serves metrics at ${telemetry.scrapeUrl}\n`);
      if (service.computes) await program.loadBackend?.(services.threads);
      const credentials = storeCredentials(program.environment);
      await runService(service, {
        services,
        logger,
        ...(telemetry && { telemetry }),
        signal: ended.signal,
        ...(options.port !== undefined && { port: Number(options.port) }),
        ...(credentials && { credentials }),
        onListening: (address) => program.print(`${title} is listening on ${address}\n`),
      });
    } finally {
      await telemetry?.close();
    }
    return 0;
  } catch (error) {
    if (error instanceof InputError) {
      program.printError(`${title}: ${error.message}\n`);
      return 1;
    }
    program.printError(`${title}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`);
    return 70;
  }
}

function usage(title: string): string {
  return `Usage: ${title} --config FILE [--port PORT] [--metrics-port PORT]

Runs the ${title} until it is told to end by SIGTERM: it finishes what is under way, then leaves.

  --config FILE  the services file, as docs/services.md describes it (default: INFALIGN_SERVICES)
  --port PORT    instead of the port in the file; 0 takes a free one
  --metrics-port PORT
                 instead of the metrics_port in the file, where Prometheus is answered
  -h, --help     show this help
`;
}

function storeCredentials(environment: ServiceProcess['environment']): StoreCredentials | undefined {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = environment;
  if (AWS_ACCESS_KEY_ID === undefined || AWS_SECRET_ACCESS_KEY === undefined) return undefined;
  return {
    accessKeyId: AWS_ACCESS_KEY_ID,
    secretAccessKey: AWS_SECRET_ACCESS_KEY,
    ...(AWS_SESSION_TOKEN !== undefined && { sessionToken: AWS_SESSION_TOKEN }),
  };
}
