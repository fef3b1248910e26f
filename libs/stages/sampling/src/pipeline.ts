import type { SamplingRequest } from '@infalign/contracts';
import { isFrom, outgoing, topics, type OutgoingRecord, type Stage } from '@infalign/rollout-stream';
import { sampledRollout, sampleRequests } from './batch.js';
import type { PolicyStore } from './policy-store.js';

/** Requests with equal settings and policy version are decoded together, in this order of arrival. */
function batchKey(request: SamplingRequest): string {
  const { policyVersion, temperature, topK, topP, maxResponseTokens } = request;
  return [policyVersion, temperature, topK, topP, maxResponseTokens].join('/');
}

/**
 * The policy-sampler: `sampling.requests` in, `rollout.sampled` out, with the policy that `policy.versions` announced.
 *
 * @param maxBatchRecords requests (prompts) decoded together; with the samples each asks for, the rows of a decoding batch
 */
export function samplingStage(policies: PolicyStore, maxBatchRecords: number): Stage {
  return {
    name: 'policy-sampler',
    inputs: [topics.policyVersions, topics.samplingRequests],
    maxBatchRecords,
    process(batch) {
      const requests = new Map<string, SamplingRequest[]>();
      for (const record of batch) {
        if (isFrom(record, topics.policyVersions)) policies.announce(record.value);
        else if (isFrom(record, topics.samplingRequests)) {
          const key = batchKey(record.value);
          requests.set(key, [...(requests.get(key) ?? []), record.value]);
        }
      }
      const outputs: OutgoingRecord[] = [];
      for (const group of requests.values()) {
        const [first] = group;
        if (!first) continue;
        const { temperature, topK, topP, maxResponseTokens } = first;
        const responses = policies
          .policy(first.policyVersion)
          .sample(group.flatMap(sampleRequests), { temperature, topK, topP, maxResponseTokens })
          [Symbol.iterator]();
        for (const request of group) {
          for (let index = 0; index < request.samples; index++) {
            outputs.push(outgoing(topics.rolloutSampled, sampledRollout(request, index, responses.next().value!)));
          }
        }
      }
      return Promise.resolve({ outputs, consumed: batch.length });
    },
  };
}
