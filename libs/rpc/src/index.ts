export type { Access, Authorisation } from './authorisation.js';
export type { CallContext } from './call-context.js';
export { createRpcClient, type RpcCallOptions, type RpcClient, type RpcClientOptions } from './client.js';
export { askHealth, type ServingStatus } from './health.js';
export { implement } from './implement.js';
export { defaultRetryPolicy, noRetry, type RetryPolicy } from './retry.js';
export { RpcError, type RpcErrorCode, type RpcErrorDetails } from './rpc-error.js';
export {
  defaultLimits,
  startRpcServer,
  type RpcServer,
  type RpcServerLimits,
  type RpcServerOptions,
} from './server.js';
export type { RpcHandlers, RpcService, RpcServiceDefinition } from './service-definition.js';
export { isLoopback, type ClientTls, type Plaintext, type ServerTls } from './transport-security.js';
