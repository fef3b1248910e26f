import { EvaluatorServiceService, RewardScorerServiceService } from '@infalign/contracts';
import { onTestFinished } from 'vitest';
import { createRpcClient, type RpcClient, type RpcClientOptions } from './client.js';
import { implement } from './implement.js';
import { startRpcServer, type RpcServer, type RpcServerOptions } from './server.js';
import type { RpcHandlers, RpcService } from './service-definition.js';

export type ScorerHandlers = RpcHandlers<typeof RewardScorerServiceService>;
export type EvaluatorHandlers = RpcHandlers<typeof EvaluatorServiceService>;
export type ScorerClient = RpcClient<typeof RewardScorerServiceService>;
export type EvaluatorClient = RpcClient<typeof EvaluatorServiceService>;

/** A reward scorer that gives empty answers, but for the handlers given: a service of unary methods. */
export function scorer(handlers: Partial<ScorerHandlers> = {}): RpcService {
  return implement(RewardScorerServiceService, {
    score: () => Promise.resolve({ rollouts: [] }),
    listRewardModels: () => Promise.resolve({ models: [] }),
    ...handlers,
  });
}

/** An evaluator that gives no responses, but for the handlers given: a service of streams. */
export function evaluator(handlers: Partial<EvaluatorHandlers> = {}): RpcService {
  return implement(EvaluatorServiceService, { evaluate: nothing, streamFrontier: nothing, ...handlers });
}

function nothing(): AsyncIterable<never> {
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: true, value: undefined }) }) };
}

/** A server on a free port of this machine, which ends with the test. */
export async function serve(options: Omit<RpcServerOptions, 'port'> & { port?: number }): Promise<RpcServer> {
  const server = await startRpcServer({ port: 0, ...options });
  onTestFinished(() => server.drain(0));
  return server;
}

/** A client of the scorer that ends with the test. */
export function scorerClient(address: string, options: Omit<RpcClientOptions, 'address'> = {}): ScorerClient {
  const client = createRpcClient(RewardScorerServiceService, { address, ...options });
  onTestFinished(() => client.close());
  return client;
}

/** A client of the evaluator that ends with the test. */
export function evaluatorClient(address: string, options: Omit<RpcClientOptions, 'address'> = {}): EvaluatorClient {
  const client = createRpcClient(EvaluatorServiceService, { address, ...options });
  onTestFinished(() => client.close());
  return client;
}

/** A promise that is resolved from elsewhere. */
export function signalled<T = void>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve: (value: T) => void = () => undefined;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

/** What a promise is rejected with. */
export async function thrownBy(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error('nothing was thrown');
}
