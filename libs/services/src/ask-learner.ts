import { PpoLearnerServiceService } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { createRpcClient, RpcError, type RetryPolicy } from '@infalign/rpc';
import type { Services } from '@infalign/run-config';

/** What is asked of the learner can be asked again; it may be away for about half a minute. */
const patience: RetryPolicy = { attempts: 13, initialDelayMs: 200, factor: 2, maxDelayMs: 3000 };

/** Calls the learner. */
export type LearnerClient = ReturnType<typeof createRpcClient<typeof PpoLearnerServiceService>>;

/**
 * Calls the learner as the settings say.
 *
 * @param ask all calls; the connection is closed after it
 * @throws InputError saying what the learner refuses, or that it is out of reach
 */
export async function askLearner<T>(
  { services, client }: Services,
  ask: (learner: LearnerClient) => Promise<T>,
): Promise<T> {
  const learner = createRpcClient(PpoLearnerServiceService, {
    address: services.ppoLearner.address ?? `127.0.0.1:${services.ppoLearner.port}`,
    plaintext: client.plaintext,
    retry: patience,
    ...(client.tls && { tls: client.tls }),
    ...(client.tokenFile !== undefined && { tokenFile: client.tokenFile }),
  });
  try {
    return await ask(learner);
  } catch (error) {
    if (!(error instanceof RpcError)) throw error;
    throw new InputError(`the services: ${error.message}`, { cause: error });
  } finally {
    learner.close();
  }
}
