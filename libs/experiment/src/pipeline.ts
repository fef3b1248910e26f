import { join } from 'node:path';
import type { Purpose, SamplingRequest } from '@infalign/contracts';
import type { Prompt } from '@infalign/datasets';
import { createEagerModel } from '@infalign/language-model';
import type { Experiment } from '@infalign/run-config';
import type { Scorer } from '@infalign/stage-scoring';
import { readModel, type StoredModel } from './model-checkpoint.js';
import { stepNames } from './plan.js';
import type { StepContext } from './step-context.js';

/** Rollouts that a stage takes at a time: sampled and scored together. */
export const rolloutsPerBatch = 512;

/** A reward model as a step of the experiment left it. */
export function storedScorer(name: 'reward-model' | 'judge', { folder }: StepContext): Scorer {
  const step = name === 'judge' ? stepNames.judge : stepNames.rewardModel;
  const stored = readModel(join(folder.step(step), 'model'));
  return { name, version: stored.contentHash, model: createEagerModel(stored.config, stored.weights) };
}

/** The base policy: the reference of every run. */
export function storedBasePolicy({ folder }: StepContext): StoredModel {
  return readModel(join(folder.step(stepNames.base), 'model'));
}

/** Requests for rollouts of prompts: `samples` of each, beginning with `firstSampleIndex`. */
export function samplingRequests(
  prompts: readonly Prompt[],
  options: {
    readonly runId: string;
    readonly purpose: Purpose;
    readonly policyVersion: number;
    readonly firstSampleIndex: number;
    readonly samples: number;
    readonly seed: number;
    readonly sampling: Experiment['sampling'];
  },
): SamplingRequest[] {
  const { sampling, ...rest } = options;
  return prompts.map((prompt) => ({
    ...rest,
    requestId: [options.runId, prompt.id, options.policyVersion, options.firstSampleIndex].join('/'),
    promptId: prompt.id,
    promptTokens: [...prompt.tokens],
    temperature: sampling.temperature,
    topK: sampling.topK,
    topP: sampling.topP,
    maxResponseTokens: sampling.maxResponseTokens,
  }));
}
