import { Purpose, type SamplingRequest, type ScoredRollout } from '@infalign/contracts';
import type { LanguageModel } from '@infalign/language-model';
import { isFrom, outgoing, topics, type OutgoingRecord, type Stage } from '@infalign/rollout-stream';
import { evaluationResult } from './batch.js';

/** What an evaluator needs. */
export interface EvaluationStageOptions {
  /** The requests for samples of a final policy version: every evaluation prompt once. */
  requests(policyVersion: number): SamplingRequest[];
  /** Samples of each prompt: a prompt is measured when it has as many. */
  readonly samplesPerPrompt: number;
  policy(version: number): LanguageModel;
  readonly reference: LanguageModel;
  readonly maxBatchRecords: number;
}

/**
 * The evaluator: when `policy.versions` announces a run's final policy it dispatches requests for samples on the
 * evaluation prompts; when they come back on `rollout.scored`, all of a prompt together, `evaluation.results` gets a
 * record for that prompt.
 */
export function evaluationStage(options: EvaluationStageOptions): Stage {
  return {
    name: 'evaluator',
    inputs: [topics.policyVersions, topics.rolloutScored],
    maxBatchRecords: options.maxBatchRecords,
    process(batch) {
      const outputs: OutgoingRecord[] = [];
      let prompt: ScoredRollout[] = [];
      let consumed = 0;
      batch.forEach((record, index) => {
        if (isFrom(record, topics.policyVersions)) {
          if (record.value.final) {
            outputs.push(
              ...options.requests(record.value.version).map((request) => outgoing(topics.samplingRequests, request)),
            );
          }
        } else if (isFrom(record, topics.rolloutScored)) {
          const { purpose, policyVersion } = record.value.rollout!;
          if (purpose === Purpose.PURPOSE_EVALUATION) prompt.push(record.value);
          if (prompt.length === options.samplesPerPrompt) {
            const result = evaluationResult(prompt, options.policy(policyVersion), options.reference);
            outputs.push(outgoing(topics.evaluationResults, result));
            prompt = [];
          }
        }
        // A prompt whose samples are not all there yet is seen again, from its first sample.
        if (prompt.length === 0) consumed = index + 1;
      });
      return Promise.resolve({ outputs, consumed });
    },
  };
}
