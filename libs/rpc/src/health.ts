import { service as healthDefinition } from 'grpc-health-check';
import { createRpcClient, type RpcClientOptions } from './client.js';
import { noRetry } from './retry.js';
import type { RpcMethodDefinition } from './service-definition.js';

/** What gRPC's health service says of a service. */
export type ServingStatus = 'UNKNOWN' | 'SERVING' | 'NOT_SERVING' | 'SERVICE_UNKNOWN';

/** `grpc.health.v1.Health/Check`, as its library defines it. */
interface Check extends RpcMethodDefinition {
  readonly responseStream: false;
  readonly requestDeserialize: (bytes: Buffer) => { service: string };
  readonly responseDeserialize: (bytes: Buffer) => { status: ServingStatus };
}

/**
 * Asks a server once for its health.
 *
 * @param service its full name, such as `infalign.v1.CalibratorService`; without it, of all the services of the server
 * @throws InputError if a file cannot be used, or the call would go unencrypted over a network; RpcError if the server does
 *   not answer, or has no such service
 */
export async function askHealth(options: RpcClientOptions, service = ''): Promise<ServingStatus> {
  const { Check: check } = healthDefinition as unknown as { readonly Check: Check };
  const client = createRpcClient({ check }, options);
  try {
    return (await client.check({ service }, { retry: noRetry })).status;
  } finally {
    client.close();
  }
}
