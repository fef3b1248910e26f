import { Purpose, type SamplingRequest } from '@infalign/contracts';
import { seededRandom } from '@infalign/core';
import type { Prompt } from '@infalign/datasets';
import { partitionOf, topics } from '@infalign/rollout-stream';
import { baseOrigin, policyVersionOf, type LearningOrigin } from '@infalign/stage-learning';
import { runSeed, stalenessOfRun, stepNames } from './experiment-steps.js';
import type { PipelineRun } from './pipeline-run.js';
import type { StoredText } from './stored-text.js';

/** The prompts of an experiment, by what they are for. */
export type Prompts = StoredText['prompts'];

/** What a run asks for first: all that a step of reference rollouts wants, or what a policy's learning begins with. */
export function firstRequests(run: PipelineRun, prompts: Prompts, partitions: number): SamplingRequest[] {
  const { experiment, record } = run;
  if (run.policyRun) return nextTrainingRequests(run, prompts, 0, partitions);
  const { references } = experiment.calibration;
  const reference = { purpose: Purpose.PURPOSE_REFERENCE, policyVersion: 0, firstSampleIndex: 0, samples: references };
  if (record.step === stepNames.trainingReferences) {
    return requestsFor(run, prompts.train, { ...reference, batch: 'reference' }, partitions);
  }
  const fresh = {
    purpose: Purpose.PURPOSE_EVALUATION,
    policyVersion: 0,
    firstSampleIndex: references,
    samples: experiment.evaluation.samples,
  };
  return [
    ...requestsFor(run, prompts.calibration, { ...reference, batch: 'calibration' }, partitions),
    ...requestsFor(run, prompts.evaluation, { ...reference, batch: 'evaluation' }, partitions),
    ...requestsFor(run, prompts.calibration, { ...fresh, batch: 'fresh' }, partitions),
  ];
}

/**
 * The requests for the rollouts of all iterations that have been asked for when an iteration has been learned, and are still
 * to be learned from: those of the next one, and of as many after that as staleness allows.
 *
 * @param learned the iteration; 0 before the first
 */
export function nextTrainingRequests(
  run: PipelineRun,
  prompts: Prompts,
  learned: number,
  partitions: number,
  origin: LearningOrigin = baseOrigin,
): SamplingRequest[] {
  const { experiment, policyRun } = run;
  const last = Math.min(experiment.ppo.iterations, learned + 1 + stalenessOfRun(experiment, policyRun!));
  return Array.from({ length: last - learned }, (_, index) =>
    trainingRequests(run, prompts, learned + 1 + index, partitions, origin),
  ).flat();
}

/** The requests for the rollouts of an iteration of learning, counted from 1, in the order in which they are learned from. */
export function trainingRequests(
  run: PipelineRun,
  prompts: Prompts,
  iteration: number,
  partitions: number,
  origin: LearningOrigin = baseOrigin,
): SamplingRequest[] {
  const { ppo } = run.experiment;
  const policyVersion = policyVersionOf(iteration, stalenessOfRun(run.experiment, run.policyRun!), origin);
  const updates = policyVersion - origin.version;
  return requestsFor(
    run,
    promptsOfIteration(prompts.train, iteration, ppo.promptsPerIteration, seedOf(run)),
    {
      purpose: Purpose.PURPOSE_TRAINING,
      policyVersion,
      // Iterations that are sampled from one version take their samples from where those of the one before end.
      firstSampleIndex: (iteration - origin.iteration - 1 - updates) * ppo.rolloutsPerPrompt,
      samples: ppo.rolloutsPerPrompt,
      // An iteration that is learned once more after a rollback has other batches.
      batch: `training-${iteration}${origin.version === 0 ? '' : `-after-version-${origin.version}`}`,
    },
    partitions,
  );
}

/** The requests for samples of a policy version on every evaluation prompt. */
export function evaluationRequests(
  run: PipelineRun,
  prompts: Prompts,
  policyVersion: number,
  partitions: number,
): SamplingRequest[] {
  return requestsFor(
    run,
    prompts.evaluation,
    {
      purpose: Purpose.PURPOSE_EVALUATION,
      policyVersion,
      firstSampleIndex: 0,
      samples: run.experiment.evaluation.samples,
      batch: `evaluation-${policyVersion}`,
    },
    partitions,
  );
}

interface Wanted {
  readonly purpose: Purpose;
  readonly policyVersion: number;
  readonly firstSampleIndex: number;
  readonly samples: number;
  /** Begins the ids of their batches: unique in the run. */
  readonly batch: string;
}

/** A request for each prompt, in their order; those in one partition are put together in batches. */
function requestsFor(
  run: PipelineRun,
  prompts: readonly Prompt[],
  { batch, ...wanted }: Wanted,
  partitions: number,
): SamplingRequest[] {
  const { sampling } = run.experiment;
  const { runId } = run.record;
  const requests = prompts.map((prompt): SamplingRequest => ({
    ...wanted,
    runId,
    requestId: [runId, prompt.id, wanted.policyVersion, wanted.firstSampleIndex].join('/'),
    promptId: prompt.id,
    promptTokens: [...prompt.tokens],
    seed: seedOf(run),
    temperature: sampling.temperature,
    topK: sampling.topK,
    topP: sampling.topP,
    maxResponseTokens: sampling.maxResponseTokens,
    batchId: '',
    batchRequests: 0,
  }));
  const requestsPerBatch = Math.max(1, Math.floor(sampling.batchRollouts / wanted.samples));
  for (let partition = 0; partition < partitions; partition++) {
    const own = requests.filter((request) => partitionOf(topics.samplingRequests, request, partitions) === partition);
    for (let start = 0; start < own.length; start += requestsPerBatch) {
      const members = own.slice(start, start + requestsPerBatch);
      for (const request of members) {
        request.batchId = `${batch}/${partition}/${start / requestsPerBatch}`;
        request.batchRequests = members.length;
      }
    }
  }
  return requests;
}

/**
 * Prompts go round in a random order of their own each time: every prompt comes before any comes again, and none twice in one
 * iteration.
 *
 * @param count of an iteration; at most as many as there are prompts
 */
function promptsOfIteration(prompts: readonly Prompt[], iteration: number, count: number, seed: number): Prompt[] {
  const end = iteration * count;
  let order: Prompt[] = [];
  let before: Prompt[] = [];
  let start = 0;
  for (let round = 0; start + order.length < end; round++) {
    start += order.length;
    before = order;
    const begun = start % count;
    order = begunWithOthers(shuffledPrompts(prompts, round, seed), before.slice(before.length - begun), count - begun);
  }
  const fromBefore = Math.max(0, start - (end - count));
  return [...before.slice(before.length - fromBefore), ...order.slice(Math.max(0, end - count - start), end - start)];
}

/** The order, changed as little as needed for none of the first `count` to be one of the others. */
function begunWithOthers(order: readonly Prompt[], others: readonly Prompt[], count: number): Prompt[] {
  if (others.length === 0) return [...order];
  const known = new Set(others);
  const first = order.filter((prompt) => !known.has(prompt)).slice(0, count);
  const chosen = new Set(first);
  return [...first, ...order.filter((prompt) => !chosen.has(prompt))];
}

function shuffledPrompts(prompts: readonly Prompt[], round: number, seed: number): Prompt[] {
  const random = seededRandom('prompt-order', seed, round);
  return prompts
    .map((prompt) => ({ prompt, key: random.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ prompt }) => prompt);
}

function seedOf({ experiment, policyRun }: PipelineRun): number {
  return runSeed(experiment, policyRun);
}
