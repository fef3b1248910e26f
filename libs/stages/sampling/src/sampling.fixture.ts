import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import { Purpose, type DeadLetter, type SampledRollout, type SamplingRequest } from '@infalign/contracts';
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
  partitionOfKey,
  runToQuiescence,
  stageWorker,
  topics,
  type RolloutStream,
  type Topic,
} from '@infalign/rollout-stream';
import { samplingStage, type SamplingStageOptions } from './pipeline.js';

/** Wide enough for the last bits of its results to depend on how many rows are computed together. */
export const config: LanguageModelConfig = {
  vocabSize: 40,
  hiddenSize: 32,
  intermediateSize: 48,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 16,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};

/** The policy of a version: of distinct probabilities, and other ones in each version. */
export function policyOfVersion(version: number): LanguageModel {
  const weights = [...initialWeights(config, ['language-model'], version)].map(
    ([name, { shape, data }]) =>
      [name, { shape, data: shape.length > 1 ? data.map((weight) => 15 * weight) : data }] as const,
  );
  return createLanguageModel(config, new Map(weights));
}

/** A request for three rollouts, in a batch of its own. */
export function request(promptId: string, change: Partial<SamplingRequest> = {}): SamplingRequest {
  return {
    requestId: `${promptId}/${change.policyVersion ?? 0}`,
    runId: 'run',
    promptId,
    promptTokens: [1 + (promptId.charCodeAt(0) % 7), 2, 3],
    purpose: Purpose.PURPOSE_TRAINING,
    policyVersion: 0,
    firstSampleIndex: 0,
    samples: 3,
    seed: 7,
    temperature: 1,
    topK: 0,
    topP: 1,
    maxResponseTokens: 5,
    batchId: promptId,
    batchRequests: 1,
    ...change,
  };
}

/** Requests that were dispatched together. */
export function batch(batchId: string, ...requests: readonly SamplingRequest[]): SamplingRequest[] {
  return requests.map((one) => ({ ...one, batchId, batchRequests: requests.length }));
}

/** So many prompts, all in one partition of so many. */
export function promptsInPartition(partition: number, partitions: number, count: number): string[] {
  const prompts: string[] = [];
  for (let index = 0; prompts.length < count; index++) {
    const prompt = `${String.fromCharCode(97 + (index % 26))}-${index}`;
    if (partitionOfKey(prompt, partitions) === partition) prompts.push(prompt);
  }
  return prompts;
}

/** A policy-sampler over a stream in a folder of its own. */
export interface Sampler {
  readonly stream: RolloutStream;
  /** Appends requests in one transaction, and samples until there is nothing left to do. */
  sample(requests: readonly SamplingRequest[]): Promise<void>;
  rollouts(): Promise<SampledRollout[]>;
  deadLetters(): Promise<DeadLetter[]>;
  remove(): Promise<void>;
}

/**
 * Opens a sampler.
 *
 * @param policy by default knows versions 0 and 1 of any run
 */
export function openSampler(partitions = 1, policy: SamplingStageOptions['policy'] = announcedPolicy): Sampler {
  const folder = mkdtempSync(join(tmpdir(), 'sampling-'));
  const stream = openEmbeddedStream(folder, { partitions });
  return {
    stream,
    async sample(requests) {
      await stream.append(requests.map((one) => outgoing(topics.samplingRequests, one)));
      const worker = await stageWorker(stream, samplingStage({ policy }));
      try {
        await runToQuiescence([worker]);
      } finally {
        await worker.close();
      }
    },
    rollouts: () => all(stream, topics.rolloutSampled),
    deadLetters: () => all(stream, deadLetterTopic(topics.samplingRequests)),
    async remove() {
      await stream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

const policies = new Map<number, LanguageModel>();

/** Versions 0 and 1 have been announced. */
function announcedPolicy(runId: string, version: number): Promise<LanguageModel> {
  if (version > 1) return Promise.reject(new InputError(`Run ${runId} has not announced version ${version}.`));
  let policy = policies.get(version);
  if (!policy) policies.set(version, (policy = policyOfVersion(version)));
  return Promise.resolve(policy);
}

async function all<T>(stream: RolloutStream, topic: Topic<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const { value } of stream.readAll(topic)) values.push(value);
  return values;
}
