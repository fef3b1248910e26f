import { join } from 'node:path';
import { betaForKl, normalisedBeta, parseTransformation, seededRandom, type Transformation } from '@infalign/core';
import {
  Purpose,
  type EvaluationResult,
  type LearningStatistics,
  type PolicyVersion,
  type ScoredRollout,
} from '@infalign/contracts';
import {
  decodeSafetensors,
  encodeSafetensors,
  publishCheckpoint,
  readCheckpoint,
  retainCheckpoints,
} from '@infalign/checkpoint';
import type { Prompt } from '@infalign/datasets';
import { createEagerModel, createTrainer, pretrainedFiles, readPretrained, withHeads } from '@infalign/language-model';
import type { Experiment } from '@infalign/run-config';
import { openEmbeddedStream, outgoing, runToQuiescence, topics, type RolloutStream } from '@infalign/rollout-stream';
import { calibrationStage, createReferenceDistributions } from '@infalign/stage-calibration';
import { evaluationStage } from '@infalign/stage-evaluation';
import {
  createPpoLearner,
  learningStage,
  type KlStrength,
  type PpoLearner,
  type PpoSnapshot,
} from '@infalign/stage-learning';
import { createPolicyStore, samplingStage } from '@infalign/stage-sampling';
import { scoringStage } from '@infalign/stage-scoring';
import type { StoredModel } from '../model-checkpoint.js';
import { rolloutsPerBatch, samplingRequests, storedBasePolicy, storedScorer } from '../pipeline.js';
import { policyRuns, stepNames, type PolicyRun } from '../plan.js';
import { rankedResponses, type RankedResponse } from '../ranked-responses.js';
import type { StepBody, StepContext } from '../step-context.js';
import { readText } from '../stored-text.js';
import { shownPrompts, type TrainingReferencesResult } from './references.js';

/** What a policy run leaves, beside its log and its final policy. */
export interface PolicyRunResult {
  readonly run: PolicyRun;
  /** β of the last iteration, on the normalised scale. */
  readonly beta: number;
  readonly training: readonly LearningStatistics[];
  /** One for each evaluation prompt, in the order of the prompts. */
  readonly evaluation: readonly EvaluationResult[];
  /** Responses to the first evaluation prompts. */
  readonly samples: readonly { readonly promptId: string; readonly responses: readonly RankedResponse[] }[];
}

/** What a checkpoint of a run stores beside its files. */
interface LearnerMetadata {
  readonly snapshot: Pick<PpoSnapshot, 'iteration' | 'targetKl'> & { readonly optimiserSteps: number };
  /** Of every iteration so far. */
  readonly history: readonly LearningStatistics[];
  /** The last record that was learned from. */
  readonly position: unknown;
}

/** Trains one policy by PPO on its transformed calibrated reward, and evaluates it: all five stages over one stream. */
export function policyRunStep(name: string): StepBody {
  return async (context) => {
    const run = policyRuns(context.experiment).find((candidate) => candidate.name === name);
    if (!run) throw new Error(`the experiment has no run ${name}`);
    const stream = openEmbeddedStream(join(context.folder.step(name), 'log'));
    try {
      return await trainAndEvaluate(run, stream, context);
    } finally {
      await stream.close();
    }
  };
}

async function trainAndEvaluate(run: PolicyRun, stream: RolloutStream, context: StepContext): Promise<PolicyRunResult> {
  const { experiment, folder, progress } = context;
  const { ppo, evaluation } = experiment;
  const { prompts, tokenizer } = readText(folder);
  const base = storedBasePolicy(context);
  const reference = createEagerModel(base.config, base.weights);
  const transformation = parseTransformation(run.transform);
  const seed = seededRandom('run', experiment.seed, run.seed, run.name).integer(2 ** 32);
  const store = join(folder.step(run.name), 'checkpoints');

  const requests = (iteration: number, policyVersion: number) =>
    samplingRequests(promptsOfIteration(prompts.train, iteration, ppo.promptsPerIteration, seed), {
      runId: run.name,
      purpose: Purpose.PURPOSE_TRAINING,
      policyVersion,
      firstSampleIndex: 0,
      samples: ppo.rolloutsPerPrompt,
      seed,
      sampling: experiment.sampling,
    });

  const learner = createLearner(run, transformation, base, experiment, reference, seed);
  await beginRun(run, stream, context, base.contentHash, requests(1, 0));
  const versions: PolicyVersion[] = [];
  for await (const { value } of stream.readAll(topics.policyVersions)) versions.push(value);
  const latest = versions.at(-1)!;
  let history: readonly LearningStatistics[] = [];
  if (latest.version > 0) history = restore(learner, store, latest);

  const policies = createPolicyStore(createEagerModel(base.config, base.weights), (version) =>
    version.version === 0 ? base.weights : readPolicy(store, version),
  );
  for (const version of versions) policies.announce(version);

  const { states } = folder.result<TrainingReferencesResult>(stepNames.trainingReferences);
  const iterations = ppo.iterations;
  await progress('training the policy', learner.iteration, iterations);
  let evaluated = (await stream.endOffsets(topics.evaluationResults))[0]!;
  await runToQuiescence(
    stream,
    [
      samplingStage(policies, Math.max(1, Math.floor(rolloutsPerBatch / ppo.rolloutsPerPrompt))),
      scoringStage(storedScorer('reward-model', context), storedScorer('judge', context), rolloutsPerBatch),
      calibrationStage({
        distributions: createReferenceDistributions(states),
        transformation,
        corrected: experiment.calibration.finiteKCorrection,
        maxBatchRecords: rolloutsPerBatch,
      }),
      learningStage({
        runId: run.name,
        learner,
        iterations,
        rolloutsPerIteration: ppo.promptsPerIteration * ppo.rolloutsPerPrompt,
        targetKl: run.targetKl ?? 0,
        requests,
        async publish(version, statistics, position) {
          history = [...history, statistics];
          await progress('training the policy', version, iterations);
          return publish(learner, store, version, { history, position }, base);
        },
      }),
      evaluationStage({
        requests: (policyVersion) =>
          samplingRequests(prompts.evaluation, {
            runId: run.name,
            purpose: Purpose.PURPOSE_EVALUATION,
            policyVersion,
            firstSampleIndex: 0,
            samples: evaluation.samples,
            seed,
            sampling: experiment.sampling,
          }),
        samplesPerPrompt: evaluation.samples,
        policy: (version) => policies.policy(version),
        reference,
        maxBatchRecords: rolloutsPerBatch + evaluation.samples,
      }),
    ],
    {
      onProgress: ({ stage, produced }) => {
        if (stage !== 'evaluator' || learner.iteration < iterations) return;
        // The first transaction dispatches the evaluation; each further one measures prompts.
        if (evaluated + produced > prompts.evaluation.length) return;
        evaluated += produced;
        void progress('evaluating the policy', evaluated, prompts.evaluation.length);
      },
    },
  );
  return await collectResult(run, stream, prompts.evaluation, history, (rollouts) =>
    rankedResponses(rollouts, tokenizer),
  );
}

/** In one transaction: announces the base policy as version 0, and dispatches the first iteration. */
async function beginRun(
  run: PolicyRun,
  stream: RolloutStream,
  { experiment }: StepContext,
  contentHash: string,
  requests: ReturnType<typeof samplingRequests>,
): Promise<void> {
  if ((await stream.endOffsets(topics.policyVersions)).some((end) => end > 0)) return;
  const version: PolicyVersion = {
    runId: run.name,
    version: 0,
    checkpoint: stepNames.base,
    contentHash,
    iteration: 0,
    beta: initialBeta(run, parseTransformation(run.transform)),
    observedKl: 0,
    targetKl: run.targetKl ?? 0,
    final: experiment.ppo.iterations === 0,
  };
  await stream.append([
    outgoing(topics.policyVersions, version),
    ...requests.map((request) => outgoing(topics.samplingRequests, request)),
  ]);
}

/** The fixed β, or the one whose exact optimum has the KL asked for; on the normalised scale. */
function initialBeta(run: PolicyRun, transformation: Transformation): number {
  return run.beta ?? normalisedBeta(transformation, betaForKl(transformation, run.targetKl!));
}

function createLearner(
  run: PolicyRun,
  transformation: Transformation,
  base: StoredModel,
  { ppo }: Experiment,
  reference: ReturnType<typeof createEagerModel>,
  seed: number,
): PpoLearner {
  const heads = ppo.advantages === 'value' ? (['language-model', 'value'] as const) : (['language-model'] as const);
  const policy = createEagerModel(base.config, withHeads(base.config, base.weights, heads));
  const beta = initialBeta(run, transformation);
  const klStrength: KlStrength = run.targetKl === undefined ? { beta } : { targetKl: run.targetKl, initialBeta: beta };
  const trainer = createTrainer(policy, { beta1: 0.9, beta2: 0.999, epsilon: ppo.adamEpsilon });
  return createPpoLearner({ policy, trainer, reference, settings: ppo, klStrength, seed });
}

/** Prompts go round in a random order of their own each time: every prompt comes before any comes again. */
function promptsOfIteration(prompts: readonly Prompt[], iteration: number, count: number, seed: number): Prompt[] {
  return Array.from({ length: count }, (_, index) => {
    const position = (iteration - 1) * count + index;
    const round = Math.floor(position / prompts.length);
    return orderOfRound(prompts, round, seed)[position % prompts.length]!;
  });
}

function orderOfRound(prompts: readonly Prompt[], round: number, seed: number): Prompt[] {
  const random = seededRandom('prompt-order', seed, round);
  return prompts
    .map((prompt) => ({ prompt, key: random.uniform() }))
    .sort((a, b) => a.key - b.key)
    .map(({ prompt }) => prompt);
}

function publish(
  learner: PpoLearner,
  store: string,
  version: number,
  progress: Pick<LearnerMetadata, 'history' | 'position'>,
  { config, tokenizerJson }: StoredModel,
): { checkpoint: string; contentHash: string } {
  const { iteration, weights, optimiser, targetKl } = learner.snapshot();
  const checkpoint = `version-${version}`;
  const files = pretrainedFiles({ config, weights, tokenizerJson });
  files.set('optimiser.safetensors', encodeSafetensors(optimiser.moments));
  const metadata: LearnerMetadata = { ...progress, snapshot: { iteration, targetKl, optimiserSteps: optimiser.steps } };
  const contentHash = publishCheckpoint(join(store, checkpoint), files, metadata);
  // The version before stays until this one is announced: samplers and a resumed run may still read it.
  retainCheckpoints(store, new Set([checkpoint, `version-${version - 1}`]));
  return { checkpoint, contentHash };
}

function restore(
  learner: PpoLearner,
  store: string,
  { checkpoint, contentHash }: PolicyVersion,
): readonly LearningStatistics[] {
  const place = join(store, checkpoint);
  const { files, metadata } = readCheckpoint(place, contentHash);
  const { snapshot, history } = metadata as LearnerMetadata;
  const moments = decodeSafetensors(files.get('optimiser.safetensors')!, join(place, 'optimiser.safetensors'));
  learner.restore({
    iteration: snapshot.iteration,
    targetKl: snapshot.targetKl,
    weights: readPretrained(files, place).weights,
    optimiser: { moments, steps: snapshot.optimiserSteps },
  });
  return history;
}

function readPolicy(store: string, { checkpoint, contentHash }: PolicyVersion) {
  const place = join(store, checkpoint);
  return readPretrained(readCheckpoint(place, contentHash).files, place).weights;
}

async function collectResult(
  run: PolicyRun,
  stream: RolloutStream,
  prompts: readonly Prompt[],
  training: readonly LearningStatistics[],
  ranked: (rollouts: readonly ScoredRollout[]) => RankedResponse[],
): Promise<PolicyRunResult> {
  const evaluation = new Map<string, EvaluationResult>();
  for await (const { value } of stream.readAll(topics.evaluationResults)) evaluation.set(value.promptId, value);
  const shown = prompts.slice(0, shownPrompts);
  const rollouts = new Map<string, ScoredRollout[]>(shown.map(({ id }) => [id, []]));
  for await (const { value } of stream.readAll(topics.rolloutScored)) {
    const { promptId, purpose } = value.rollout!;
    if (purpose === Purpose.PURPOSE_EVALUATION) rollouts.get(promptId)?.push(value);
  }
  return {
    run,
    beta: training.at(-1)!.beta,
    training,
    evaluation: prompts.map(({ id }) => evaluation.get(id)!),
    samples: shown.map(({ id }) => ({ promptId: id, responses: ranked(rollouts.get(id)!) })),
  };
}
