import {
  Purpose,
  type EvaluationResult,
  type PolicyVersion,
  type SamplingRequest,
  type ScoredRollout,
} from '@infalign/contracts';
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
import { evaluationResult, rolloutProblem } from './batch.js';

/** What asks for evaluations needs. */
export interface EvaluationRequestStageOptions {
  /**
   * The requests for samples of a policy version: every evaluation prompt of its run once.
   *
   * @throws InputError if the run is unknown
   */
  readonly requests: (runId: string, policyVersion: number) => Promise<readonly SamplingRequest[]>;
}

/**
 * Asks for the evaluation of final policies: `policy.versions` in, `sampling.requests` out. Versions of an unknown run are
 * dead letters.
 */
export function evaluationRequestStage({ requests }: EvaluationRequestStageOptions): Stage<PolicyVersion> {
  return {
    name: 'evaluator-requests',
    input: topics.policyVersions,
    maxBatchRecords: 1,
    open: () =>
      Promise.resolve({
        async process(records) {
          const [record] = records;
          const { runId, version, final } = record!.value;
          try {
            const wanted = final ? await requests(runId, version) : [];
            return { outputs: wanted.map((request) => outgoing(topics.samplingRequests, request)), consumed: 1 };
          } catch (error) {
            if (!(error instanceof InputError)) throw error;
            return { outputs: [refused(record!, error.message)], consumed: 1 };
          }
        },
      }),
  };
}

/** What a policy is measured with. */
export interface MeasuredPolicy {
  readonly policy: LanguageModel;
  /** πref, held by the same executor. */
  readonly reference: LanguageModel;
}

/** What an evaluator needs. */
export interface EvaluationStageOptions {
  /**
   * The policy of that version, to be measured.
   *
   * @returns nothing where the run trains no policy: its rollouts pass by
   * @throws InputError if the run is unknown or has not announced that version, or its checkpoint is gone or damaged
   */
  readonly measuredPolicy: (runId: string, version: number) => Promise<MeasuredPolicy | undefined>;
}

/** Rollouts that are looked at together to find the batches among them; more where a batch is larger. */
const rolloutsAtOnce = 512;

/**
 * The evaluator: `rollout.scored` in, `evaluation.results` out. A batch of evaluation rollouts holds all samples of each of
 * its prompts, and becomes one result a prompt; other rollouts pass it by. What cannot be measured is a dead letter.
 */
export function evaluationStage(options: EvaluationStageOptions): Stage<ScoredRollout> {
  return {
    name: 'evaluator',
    input: topics.rolloutScored,
    maxBatchRecords: rolloutsAtOnce,
    open: () =>
      Promise.resolve({
        async process(records) {
          const outputs: OutgoingRecord[] = [];
          let consumed = 0;
          const batches = recordBatches(records, ({ rollout }) => ({
            id: JSON.stringify([rollout!.runId, rollout!.batchId]),
            size: rollout!.batchRollouts,
          }));
          for (const batch of batches) {
            const isEvaluation = batch.records[0]!.value.rollout!.purpose === Purpose.PURPOSE_EVALUATION;
            // One batch that takes time a transaction.
            if (isEvaluation && outputs.length > 0) break;
            if (isEvaluation) outputs.push(...(await measured(batch.records, batch.complete, options)));
            consumed += batch.records.length;
          }
          return { outputs, consumed };
        },
      }),
  };
}

async function measured(
  batch: readonly ConsumedRecord<ScoredRollout>[],
  complete: boolean,
  { measuredPolicy }: EvaluationStageOptions,
): Promise<OutgoingRecord[]> {
  if (!complete) return batch.map((record) => refused(record, 'the rest of its batch is missing'));
  const first = batch[0]!.value;
  let models: MeasuredPolicy | undefined;
  try {
    models = await measuredPolicy(first.rollout!.runId, first.rollout!.policyVersion);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    return batch.map((record) => refused(record, error.message));
  }
  if (!models) return [];
  const refusals: OutgoingRecord[] = [];
  const accepted: ScoredRollout[] = [];
  for (const record of batch) {
    const problem = rolloutProblem(record.value, first, models.policy.config);
    if (problem === undefined) accepted.push(record.value);
    else refusals.push(refused(record, problem));
  }
  return [
    ...resultsByPrompt(accepted, models).map((result) => outgoing(topics.evaluationResults, result)),
    ...refusals,
  ];
}

/** One result a prompt, in order of appearance. */
function resultsByPrompt(
  rollouts: readonly ScoredRollout[],
  { policy, reference }: MeasuredPolicy,
): EvaluationResult[] {
  const byPrompt = new Map<string, ScoredRollout[]>();
  for (const scored of rollouts) {
    const { promptId } = scored.rollout!;
    const samples = byPrompt.get(promptId);
    if (samples) samples.push(scored);
    else byPrompt.set(promptId, [scored]);
  }
  return [...byPrompt.values()].map((samples) => evaluationResult(samples, policy, reference));
}
