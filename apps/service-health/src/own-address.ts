import type { RpcClientOptions } from '@infalign/rpc';
import type { ServiceName, Services } from '@infalign/run-config';

/** How long a healthy service takes to answer at most, in milliseconds. */
const deadlineMs = 5000;

/**
 * How a service of this machine is called: at its own port, not at the address by which others reach any of its replicas.
 * Its certificate has the name of that address.
 */
export function ownAddress({ rpc, client, services }: Services, name: ServiceName): RpcClientOptions {
  const { port, address } = services[name];
  const host = rpc.host === '0.0.0.0' ? '127.0.0.1' : rpc.host === '::' ? '::1' : rpc.host;
  const serverName = address === undefined ? undefined : new URL(`grpc://${address}`).hostname;
  return {
    address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
    ...(client.tls && { tls: client.tls }),
    ...(serverName !== undefined && { serverName }),
    // What it says does not leave this machine, whichever of its addresses the service listens on.
    plaintext: 'allow-off-loopback',
    deadlineMs,
  };
}
