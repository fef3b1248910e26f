import { setTimeout as sleep } from 'node:timers/promises';
import { EvaluatorServiceService, type EvaluationResult } from '@infalign/contracts';
import { InputError } from '@infalign/core';
import { assembleEvaluation, evaluationRequests } from '@infalign/pipeline';
import { isPoison, outgoing, topics } from '@infalign/rollout-stream';
import { implement } from '@infalign/rpc';
import { evaluationService } from '@infalign/stage-evaluation';
import { serveStages } from './serve-stages.js';
import type { ServiceParts } from './service-parts.js';
import type { Service } from './service.js';

/** Measures policies. */
export const evaluator: Service = {
  name: 'evaluator',
  title: 'evaluator',
  computes: true,
  assemble(parts) {
    const { requests, measurement } = assembleEvaluation(parts);
    return {
      calls: implement(
        EvaluatorServiceService,
        evaluationService({ evaluate: (runId, version, signal) => evaluate(parts, runId, version, signal) }),
      ),
      serve: (signal) => serveStages([requests, measurement], parts, signal),
    };
  },
};

/** Results that are read at a time. */
const resultsAtOnce = 500;

/** Results of a policy version as they are there; asks for samples of it where some are missing. */
async function* evaluate(
  { stream, store, runs }: ServiceParts,
  runId: string,
  policyVersion: number,
  signal: AbortSignal,
): AsyncGenerator<EvaluationResult> {
  const run = await runs.run(runId);
  if (!run.policyRun) throw new InputError(`run ${runId} trains no policy: there is nothing to evaluate`);
  const { name } = await runs.policy(runId, policyVersion);
  const prompts = await runs.prompts(run);
  const missing = new Set(prompts.evaluation.map(({ id }) => id));
  const reader = await stream.follow(topics.evaluationResults);
  try {
    // Before it has been read to here, nobody knows what is missing.
    const isRead = await reader.markEnd();
    for (let asked = false; missing.size > 0;) {
      signal.throwIfAborted();
      const records = await reader.read(resultsAtOnce);
      for (const record of records) {
        if (isPoison(record) || record.value.runId !== runId || record.value.policyVersion !== policyVersion) continue;
        if (missing.delete(record.value.promptId)) yield record.value;
      }
      if (records.length > 0) continue;
      if (!asked && isRead()) {
        if (!(await store.has(name))) {
          throw new InputError(
            `the checkpoint of version ${policyVersion} of run ${runId} has been deleted as outdated`,
          );
        }
        const requests = evaluationRequests(run, prompts, policyVersion, stream.partitions);
        await stream.append(requests.map((request) => outgoing(topics.samplingRequests, request)));
        asked = true;
      }
      await Promise.race([reader.changed(500), sleep(500, undefined, { signal }).catch(() => undefined)]);
    }
  } finally {
    await reader.close();
  }
}
