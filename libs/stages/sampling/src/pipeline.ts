import type { PolicyVersion, SampledRollout, SamplingRequest } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import type { LanguageModel } from '@infalign/language-model';
import {
  outgoing,
  recordBatches,
  refused,
  topics,
  type ConsumedRecord,
  type OutgoingRecord,
  type Stage,
} from '@infalign/rollout-stream';
import { sampledRollouts } from './batch.js';
import { requestProblem } from './request-problem.js';

/** What a policy-sampler needs. */
export interface SamplingStageOptions {
  /**
   * The policy of that version.
   *
   * @throws InputError if the run has not announced it, or its checkpoint is gone or damaged
   */
  readonly policy: (runId: string, version: PolicyVersion['version']) => Promise<LanguageModel>;
}

/** Requests that are looked at together to find the batches among them. */
const requestsAtOnce = 64;

/**
 * The policy-sampler: `sampling.requests` in, `rollout.sampled` out, one batch of requests a transaction. Requests that
 * cannot be met (an unknown policy version, tokens that the policy does not have) are dead letters.
 */
export function samplingStage({ policy }: SamplingStageOptions): Stage<SamplingRequest> {
  return {
    name: 'policy-sampler',
    input: topics.samplingRequests,
    maxBatchRecords: requestsAtOnce,
    open: () =>
      Promise.resolve({
        async process(records) {
          const [batch] = recordBatches(records, ({ runId, batchId, batchRequests }) => ({
            id: JSON.stringify([runId, batchId]),
            size: batchRequests,
          }));
          if (!batch) return { outputs: [], consumed: 0 };
          const outputs = batch.complete
            ? await sampled(batch.records, policy)
            : batch.records.map((record) => refused(record, 'the rest of its batch is missing'));
          return { outputs, consumed: batch.records.length };
        },
      }),
  };
}

async function sampled(
  batch: readonly ConsumedRecord<SamplingRequest>[],
  policy: SamplingStageOptions['policy'],
): Promise<OutgoingRecord[]> {
  const { runId, policyVersion } = batch[0]!.value;
  let model: LanguageModel;
  try {
    model = await policy(runId, policyVersion);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return batch.map((record) => refused(record, error.message));
  }
  const outputs: OutgoingRecord[] = [];
  const accepted: SamplingRequest[] = [];
  let rollouts = 0;
  for (const record of batch) {
    const problem = requestProblem(record.value, batch[0]!.value, model.config, rollouts);
    if (problem === undefined) {
      accepted.push(record.value);
      rollouts += record.value.samples;
    } else outputs.push(refused(record, problem));
  }
  const sampledNow: SampledRollout[] = sampledRollouts(accepted, model);
  return [...sampledNow.map((rollout) => outgoing(topics.rolloutSampled, rollout)), ...outputs];
}
