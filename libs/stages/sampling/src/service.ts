import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type PolicySamplerServiceService,
  type PolicyVersion,
  type SampledRollout,
  type SamplingRequest,
} from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { RpcError, type RpcHandlers } from '@infalign/rpc';
import { topics } from '@infalign/rollout-stream';
import { sampledRollouts } from './batch.js';
import type { SamplingStageOptions } from './pipeline.js';
import { requestProblem } from './request-problem.js';

/** What the policy-sampler's calls need. */
export interface SamplingServiceOptions extends SamplingStageOptions {
  /** The versions that a run has announced, ascending. */
  versions(runId: string): Promise<PolicyVersion[]>;
}

/** The policy-sampler's calls. */
export function samplingService(options: SamplingServiceOptions): RpcHandlers<typeof PolicySamplerServiceService> {
  return {
    async *sample({ requests }, { signal }) {
      if (requests.length === 0) throw new InputError('requests: empty; ask for one sample at least');
      const ids = new Set(requests.map(({ requestId }) => requestId));
      if (ids.size !== requests.length) throw new InputError('requests: two have the same request_id');
      for (const batch of batches(requests)) {
        // Decoding does not pause: what has come in meanwhile, a cancellation for one, is seen here.
        await nextTurn();
        signal.throwIfAborted();
        for (const rollout of await sampled(batch, options)) yield { rollout };
      }
    },
    async listPolicyVersions({ runId }) {
      const versions = await options.versions(runId);
      if (versions.length === 0) {
        throw new RpcError('NOT_FOUND', 'RUN_UNKNOWN', `run ${JSON.stringify(runId)} has announced no policy version`, {
          remedy: 'start the run, or check its id',
        });
      }
      return { versions };
    },
  };
}

/** Requests of one batch are decoded together, as they are in the stream; one that names no batch is one by itself. */
function batches(requests: readonly SamplingRequest[]): SamplingRequest[][] {
  const groups: SamplingRequest[][] = [];
  for (const request of requests) {
    const group = groups.at(-1);
    const [first] = group ?? [];
    const belongs =
      first && request.batchId !== '' && first.batchId === request.batchId && first.runId === request.runId;
    if (belongs) group!.push(request);
    else groups.push([request]);
  }
  return groups;
}

async function sampled(batch: readonly SamplingRequest[], options: SamplingServiceOptions): Promise<SampledRollout[]> {
  const requests = batch.map((request) => ({
    ...request,
    batchId: request.batchId === '' ? request.requestId : request.batchId,
    batchRequests: batch.length,
  }));
  for (const request of requests) topics.samplingRequests.codec.encode(request);
  const [first] = requests;
  const policy = await options.policy(first!.runId, first!.policyVersion).catch((error: unknown) => {
    if (!(error instanceof InputError)) throw error;
    throw new RpcError('FAILED_PRECONDITION', 'POLICY_VERSION_UNKNOWN', error.message, {
      remedy: 'ask for a version that listPolicyVersions gives',
      cause: error,
    });
  });
  let rollouts = 0;
  for (const request of requests) {
    const problem = requestProblem(request, first!, policy.config, rollouts);
    rollouts += request.samples;
    if (problem !== undefined) throw new InputError(`request ${request.requestId}: ${problem}`);
  }
  return sampledRollouts(requests, policy);
}
