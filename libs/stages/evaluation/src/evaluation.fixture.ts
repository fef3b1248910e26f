import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import {
  Purpose,
  type DeadLetter,
  type EvaluationResult,
  type PolicyVersion,
  type SampledRollout,
  type SamplingRequest,
  type ScoredRollout,
} from '@infalign/contracts';
import {
  createLanguageModel,
  initialWeights,
  type LanguageModel,
  type LanguageModelConfig,
} from '@infalign/language-model';
import {
  deadLetterTopic,
  openEmbeddedStream,
  outgoing,
  runToQuiescence,
  stageWorker,
  topics,
  type RolloutStream,
  type Topic,
} from '@infalign/rollout-stream';
import { evaluationRequestStage, evaluationStage } from './pipeline.js';

const config: LanguageModelConfig = {
  vocabSize: 17,
  hiddenSize: 8,
  intermediateSize: 16,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 16,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};

function model(seed: number): LanguageModel {
  const weights = initialWeights(config, ['language-model'], seed);
  for (const { shape, data } of weights.values()) {
    if (shape.length > 1) data.forEach((weight, index) => (data[index] = 20 * weight));
  }
  return createLanguageModel(config, weights);
}

export const policy = model(1);
export const reference = model(2);

/** An evaluation rollout of the policy with distinct rewards, in a batch of its own. */
export function sample(promptId: string, index: number, change: Partial<SampledRollout> = {}): ScoredRollout {
  return samples(promptId, index, 1, change)[0]!;
}

/** Evaluation rollouts of one prompt, with the indices from `first` on. */
export function samples(
  promptId: string,
  first: number,
  count: number,
  change: Partial<SampledRollout> = {},
): ScoredRollout[] {
  const promptTokens = [1 + (promptId.charCodeAt(0) % 5), 2];
  const indices = Array.from({ length: count }, (_, index) => first + index);
  const requests = indices.map((index) => ({ promptTokens, randomSeed: [promptId, index] }));
  const responses = policy.sample(requests, { temperature: 1, topK: 0, topP: 1, maxResponseTokens: 4 });
  return indices.map((index, row) => ({
    rollout: {
      rolloutId: `run/${promptId}/3/${index}`,
      runId: 'run',
      promptId,
      purpose: Purpose.PURPOSE_EVALUATION,
      policyVersion: 3,
      sampleIndex: index,
      seed: 1,
      promptTokens,
      responseTokens: Array.from(responses[row]!.responseTokens),
      logProbs: Array.from(responses[row]!.logProbs),
      ended: responses[row]!.ended,
      temperature: 1,
      batchId: `${promptId}-${index}`,
      batchRollouts: 1,
      ...change,
    },
    reward: { model: 'reward-model', modelVersion: 'v', reward: index + 1 },
    judge: { model: 'judge', modelVersion: 'v', reward: -index - 1 },
  }));
}

/** Rollouts that were scored together. */
export function batch(batchId: string, ...rollouts: readonly ScoredRollout[]): ScoredRollout[] {
  return rollouts.map((one) => ({
    ...one,
    rollout: { ...one.rollout!, batchId, batchRollouts: rollouts.length },
  }));
}

/** A policy version of the run. */
export function policyVersion(version: number, change: Partial<PolicyVersion> = {}): PolicyVersion {
  return {
    runId: 'run',
    version,
    checkpoint: `version-${version}`,
    contentHash: 'ab',
    iteration: version,
    beta: 1,
    observedKl: 0,
    targetKl: 0,
    final: false,
    rolledBackTo: 0,
    ...change,
  };
}

/** An evaluator over a stream in a folder of its own. */
export interface Evaluator {
  readonly stream: RolloutStream;
  /** Appends records in one transaction, and evaluates until there is nothing left to do. */
  evaluate(records: {
    readonly versions?: readonly PolicyVersion[];
    readonly rollouts?: readonly ScoredRollout[];
  }): Promise<void>;
  requests(): Promise<SamplingRequest[]>;
  results(): Promise<EvaluationResult[]>;
  deadLetters(): Promise<DeadLetter[]>;
  remove(): Promise<void>;
}

/** Opens an evaluator. It knows version 3 of the run `run`, which has two evaluation prompts, and the run `base` without a policy. */
export function openEvaluator(partitions = 1): Evaluator {
  const folder = mkdtempSync(join(tmpdir(), 'evaluation-'));
  const stream = openEmbeddedStream(folder, { partitions });
  const unknown = (what: string) => Promise.reject(new InputError(`${what} is unknown.`));
  const stages = [
    evaluationRequestStage({
      requests: (runId, version) =>
        runId === 'run'
          ? Promise.resolve(['a', 'b'].map((promptId) => request(promptId, version)))
          : unknown(`Run ${runId}`),
    }),
    evaluationStage({
      measuredPolicy(runId, version) {
        if (runId === 'base') return Promise.resolve(undefined);
        if (runId === 'run' && version === 3) return Promise.resolve({ policy, reference });
        return unknown(`Version ${version} of run ${runId}`);
      },
    }),
  ] as const;
  return {
    stream,
    async evaluate({ versions = [], rollouts = [] }) {
      await stream.append([
        ...versions.map((version) => outgoing(topics.policyVersions, version)),
        ...rollouts.map((rollout) => outgoing(topics.rolloutScored, rollout)),
      ]);
      const workers = [await stageWorker(stream, stages[0]), await stageWorker(stream, stages[1])];
      try {
        await runToQuiescence(workers);
      } finally {
        await Promise.all(workers.map((worker) => worker.close()));
      }
    },
    requests: () => all(stream, topics.samplingRequests),
    results: () => all(stream, topics.evaluationResults),
    deadLetters: async () => [
      ...(await all(stream, deadLetterTopic(topics.policyVersions))),
      ...(await all(stream, deadLetterTopic(topics.rolloutScored))),
    ],
    async remove() {
      await stream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

function request(promptId: string, version: number): SamplingRequest {
  return {
    requestId: `${promptId}/${version}`,
    runId: 'run',
    promptId,
    promptTokens: [1, 2],
    purpose: Purpose.PURPOSE_EVALUATION,
    policyVersion: version,
    firstSampleIndex: 0,
    samples: 2,
    seed: 1,
    temperature: 1,
    topK: 0,
    topP: 1,
    maxResponseTokens: 4,
    batchId: promptId,
    batchRequests: 1,
  };
}

async function all<T>(stream: RolloutStream, topic: Topic<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const { value } of stream.readAll(topic)) values.push(value);
  return values;
}
