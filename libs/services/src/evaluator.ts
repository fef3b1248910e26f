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
  assemble(parts, ending) {
    const { requests, measurement } = assembleEvaluation(parts);
    return {
      calls: implement(EvaluatorServiceService, evaluationService({ evaluate: evaluations(parts, ending) })),
      serve: (signal) => serveStages([requests, measurement], parts, signal),
    };
  },
};

/** Results that are read at a time. */
const resultsAtOnce = 500;

/** Samples that were asked for. */
interface Asked {
  /** How many calls wait for them. */
  calls: number;
  readonly sent: Promise<void>;
}

/**
 * Gives results of policy versions as they are there. Where some are missing, samples for them are asked for, once for all
 * calls that wait at the same time.
 *
 * @param ending ends the waiting
 */
export function evaluations(
  parts: ServiceParts,
  ending: AbortSignal,
): (runId: string, policyVersion: number, signal: AbortSignal) => AsyncGenerator<EvaluationResult> {
  const asked = new Map<string, Asked>();
  return (runId, policyVersion, signal) =>
    evaluate(parts, asked, { runId, policyVersion }, AbortSignal.any([signal, ending]));
}

async function* evaluate(
  { stream, store, runs }: ServiceParts,
  askedFor: Map<string, Asked>,
  { runId, policyVersion }: { readonly runId: string; readonly policyVersion: number },
  signal: AbortSignal,
): AsyncGenerator<EvaluationResult> {
  const run = await runs.run(runId);
  if (!run.policyRun) throw new InputError(`run ${runId} trains no policy: there is nothing to evaluate`);
  const { name } = await runs.policy(runId, policyVersion);
  const prompts = await runs.prompts(run);
  const missing = new Set(prompts.evaluation.map(({ id }) => id));
  const reader = await stream.follow(topics.evaluationResults);
  const key = JSON.stringify([runId, policyVersion]);
  let asked: Asked | undefined;

  async function ask(): Promise<void> {
    if (!(await store.has(name))) {
      throw new InputError(`the checkpoint of version ${policyVersion} of run ${runId} has been deleted as outdated`);
    }
    const requests = evaluationRequests(run, prompts, policyVersion, stream.partitions);
    // What is computed together is asked for together.
    const batches = new Set(requests.filter(({ promptId }) => missing.has(promptId)).map(({ batchId }) => batchId));
    const wanted = requests.filter(({ batchId }) => batches.has(batchId));
    await stream.append(wanted.map((request) => outgoing(topics.samplingRequests, request)));
  }

  try {
    // Before it has been read to here, nobody knows what is missing.
    const isRead = await reader.markEnd();
    while (missing.size > 0) {
      signal.throwIfAborted();
      const records = await reader.read(resultsAtOnce);
      for (const record of records) {
        if (isPoison(record) || record.value.runId !== runId || record.value.policyVersion !== policyVersion) continue;
        if (missing.delete(record.value.promptId)) yield record.value;
      }
      if (records.length > 0) continue;
      if (!asked && isRead()) {
        asked = askedFor.get(key) ?? { calls: 0, sent: ask() };
        askedFor.set(key, asked);
        asked.calls++;
        await asked.sent;
      }
      await Promise.race([reader.changed(500), sleep(500, undefined, { signal }).catch(() => undefined)]);
    }
  } finally {
    if (asked && --asked.calls === 0) askedFor.delete(key);
    await reader.close();
  }
}
