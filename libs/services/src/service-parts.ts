import { openCheckpointStore, type CheckpointStore } from '@infalign/checkpoint';
import { createModelCache, followRuns, type ModelCache, type Runs } from '@infalign/pipeline';
import type { RolloutStream } from '@infalign/rollout-stream';
import type { Services } from '@infalign/run-config';
import { silentLogger, silentTelemetry, type Logger, type Telemetry } from '@infalign/telemetry';
import { observedStore } from './observed-store.js';
import { observedStream } from './observed-stream.js';
import { openStream } from './open-stream.js';

/** What services are assembled from. */
export interface ServiceParts {
  readonly stream: RolloutStream;
  readonly store: CheckpointStore;
  readonly runs: Runs;
  readonly models: ModelCache;
  readonly services: Services;
  readonly logger: Logger;
  readonly telemetry: Telemetry;
  /** Closes them all. */
  readonly close: () => Promise<void>;
}

/** Keys for a checkpoint store in S3. */
export interface StoreCredentials {
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken?: string;
}

/**
 * Opens what a service needs.
 *
 * @param name of the service, as brokers see it
 * @param credentials of the checkpoint store, where it is in S3 and they are in the environment
 * @throws InputError if the brokers or the store cannot be used
 */
export async function openServiceParts(
  name: string,
  services: Services,
  logger: Logger,
  credentials?: StoreCredentials,
  telemetry: Telemetry = silentTelemetry,
): Promise<ServiceParts> {
  const store = observedStore(openStore(services, credentials, logger), telemetry);
  const stream = observedStream(await openStream(name, services, logger), { telemetry, logger, service: name });
  const runs = await followRuns(stream, store);
  const models = createModelCache(store, services.modelsInMemory);
  return {
    stream,
    store,
    runs,
    models,
    services,
    logger,
    telemetry,
    async close() {
      await runs.close();
      await stream.close();
      await store.close();
      models.dispose();
    },
  };
}

/** Opens the checkpoint store that services share. @throws InputError if its address is malformed */
export function openStore(
  { store, storeCache, storeCacheMib }: Services,
  credentials?: StoreCredentials,
  logger: Logger = silentLogger,
): CheckpointStore {
  const cache = storeCache !== undefined && {
    folder: storeCache,
    maxBytes: storeCacheMib * 2 ** 20,
    onTrouble: (error: unknown) => logger.warn({ err: error }, 'the cache of the checkpoint store cannot be used'),
  };
  return openCheckpointStore(store, { ...(credentials && { credentials }), ...(cache && { cache }) });
}
