import { RpcError, startRpcServer } from '@infalign/rpc';
import type { Services } from '@infalign/run-config';
import { silentTelemetry, type Logger, type Telemetry } from '@infalign/telemetry';
import { openServiceParts, type StoreCredentials } from './service-parts.js';
import type { Service } from './service.js';

/** Where and how long a service runs. */
export interface RunServiceOptions {
  readonly services: Services;
  readonly logger: Logger;
  /** Default: nothing is told. */
  readonly telemetry?: Telemetry;
  /** Ends the service: it takes nothing new, finishes what is under way, and leaves its group. */
  readonly signal: AbortSignal;
  /** Instead of the port in the settings, where several of a service run on one machine. */
  readonly port?: number;
  readonly credentials?: StoreCredentials;
  /** Called with the address of the service when it can be called. */
  readonly onListening?: (address: string) => void;
}

/**
 * Runs a service until the signal is aborted.
 *
 * @throws InputError if the settings cannot be used; what else goes wrong: the service is of no more use then, and what it
 *   had under way is done by another one, or by itself when it is started again
 */
export async function runService(service: Service, options: RunServiceOptions): Promise<void> {
  const { services, logger, signal, telemetry = silentTelemetry } = options;
  const { rpc, drainSeconds } = services;
  const parts = await openServiceParts(service.title, services, logger, options.credentials, telemetry);
  const ending = new AbortController();
  try {
    const { calls, serve } = service.assemble(parts, ending.signal);
    const server = await startRpcServer({
      services: [calls],
      host: rpc.host,
      port: options.port ?? services.services[service.name].port,
      plaintext: rpc.plaintext,
      ...(rpc.healthPort !== undefined && { healthPort: rpc.healthPort }),
      ...(rpc.tls && { tls: rpc.tls }),
      ...(rpc.tokensFile !== undefined && { authorisation: { tokenFile: rpc.tokensFile } }),
      limits: { maxMessageBytes: rpc.maxMessageMib * 2 ** 20, maxRunningCalls: rpc.maxRunningCalls },
      logger,
      telemetry,
    });
    const drain = (): Promise<void> => {
      ending.abort(
        new RpcError('UNAVAILABLE', 'SHUTTING_DOWN', 'the service is ending', {
          remedy: 'call again: another instance will answer',
        }),
      );
      return server.drain(drainSeconds * 1000);
    };
    const drained = new Promise<void>((resolve) => {
      const begin = (): void => void drain().then(resolve);
      if (signal.aborted) begin();
      else signal.addEventListener('abort', begin, { once: true });
    });
    try {
      options.onListening?.(server.address);
      await serve(signal);
      await drained;
    } finally {
      await drain();
    }
  } finally {
    await parts.close();
  }
}
