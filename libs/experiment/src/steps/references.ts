import { join } from 'node:path';
import { identityTransformation } from '@infalign/core';
import { Purpose, type CalibrationState, type PolicyVersion, type ScoredRollout } from '@infalign/contracts';
import type { Prompt } from '@infalign/datasets';
import { createEagerModel } from '@infalign/language-model';
import { openEmbeddedStream, outgoing, runToQuiescence, topics, type RolloutStream } from '@infalign/rollout-stream';
import { calibrationStage, createReferenceDistributions } from '@infalign/stage-calibration';
import { createPolicyStore, samplingStage } from '@infalign/stage-sampling';
import { scoringStage, type Scorer } from '@infalign/stage-scoring';
import { rolloutsPerBatch, samplingRequests, storedBasePolicy, storedScorer } from '../pipeline.js';
import { stepNames } from '../plan.js';
import { rankedResponses, type RankedResponse } from '../ranked-responses.js';
import type { StepBody, StepContext } from '../step-context.js';
import { readText } from '../stored-text.js';
import { preferences } from './preferences.js';
import { margins } from './reward-model.js';

/** What the step of the training prompts leaves: their reference distributions. */
export interface TrainingReferencesResult {
  readonly states: readonly CalibrationState[];
}

/** Raw rewards of base rollouts on one prompt. */
export interface PromptRewards {
  readonly promptId: string;
  readonly rewards: readonly number[];
}

/** What the step of the held-out prompts leaves. */
export interface HeldOutReferencesResult {
  /** Of each evaluation prompt, rewards of K base rollouts by proxy and judge: what win rates are taken against. */
  readonly evaluation: readonly (PromptRewards & { readonly judgeRewards: readonly number[] })[];
  /** Of each calibration prompt, K references and fresh rollouts, by the proxy. */
  readonly calibration: readonly (PromptRewards & { readonly fresh: readonly number[] })[];
  /** Share of held-out pairs that proxy and judge order alike. */
  readonly agreement: number;
  /** Responses of the base policy to the first evaluation prompts. */
  readonly samples: readonly { readonly promptId: string; readonly responses: readonly RankedResponse[] }[];
}

/** Evaluation prompts whose responses the report shows. */
export const shownPrompts = 4;

const runId = 'references';

/** Samples K base rollouts for every training prompt, and makes the reference distributions. */
export const trainingReferencesStep: StepBody = async (context) => {
  const { experiment, folder } = context;
  const prompts = readText(folder).prompts.train;
  const stream = openEmbeddedStream(join(folder.step(stepNames.trainingReferences), 'log'));
  try {
    await collect(stream, context, storedScorer('reward-model', context), undefined, [
      { prompts, purpose: Purpose.PURPOSE_REFERENCE, first: 0, samples: experiment.calibration.references },
    ]);
    const states = await stream.table(topics.calibrationState);
    const result: TrainingReferencesResult = { states: prompts.map(({ id }) => states.get(id)!) };
    return result;
  } finally {
    await stream.close();
  }
};

/** Samples base rollouts for calibration and evaluation prompts: references, and fresh ones to measure calibration on. */
export const heldOutReferencesStep: StepBody = async (context) => {
  const { experiment, folder } = context;
  const { prompts, tokenizer } = readText(folder);
  const reward = storedScorer('reward-model', context);
  const judge = storedScorer('judge', context);
  const references = experiment.calibration.references;
  const stream = openEmbeddedStream(join(folder.step(stepNames.heldOutReferences), 'log'));
  try {
    await collect(stream, context, reward, judge, [
      { prompts: prompts.calibration, purpose: Purpose.PURPOSE_REFERENCE, first: 0, samples: references },
      { prompts: prompts.evaluation, purpose: Purpose.PURPOSE_REFERENCE, first: 0, samples: references },
      {
        prompts: prompts.calibration,
        purpose: Purpose.PURPOSE_EVALUATION,
        first: references,
        samples: experiment.evaluation.samples,
      },
    ]);
    const rollouts = new Map<string, ScoredRollout[]>();
    for await (const { value } of stream.readAll(topics.rolloutScored)) {
      const { promptId } = value.rollout!;
      rollouts.set(promptId, [...(rollouts.get(promptId) ?? []), value]);
    }
    const rewards = (promptId: string, purpose: Purpose): number[] =>
      rollouts
        .get(promptId)!
        .filter((scored) => scored.rollout!.purpose === purpose)
        .map((scored) => scored.reward!.reward);
    const result: HeldOutReferencesResult = {
      evaluation: prompts.evaluation.map(({ id }) => ({
        promptId: id,
        rewards: rewards(id, Purpose.PURPOSE_REFERENCE),
        judgeRewards: rollouts.get(id)!.map((scored) => scored.judge!.reward),
      })),
      calibration: prompts.calibration.map(({ id }) => ({
        promptId: id,
        rewards: rewards(id, Purpose.PURPOSE_REFERENCE),
        fresh: rewards(id, Purpose.PURPOSE_EVALUATION),
      })),
      agreement: await agreement(reward, judge, context),
      samples: prompts.evaluation
        .slice(0, shownPrompts)
        .map(({ id }) => ({ promptId: id, responses: rankedResponses(rollouts.get(id)!, tokenizer) })),
    };
    return result;
  } finally {
    await stream.close();
  }
};

interface Wanted {
  readonly prompts: readonly Prompt[];
  readonly purpose: Purpose;
  readonly first: number;
  readonly samples: number;
}

/** Samples and scores rollouts of the base policy over the step's stream, from wherever an earlier attempt got to. */
async function collect(
  stream: RolloutStream,
  context: StepContext,
  reward: Scorer,
  judge: Scorer | undefined,
  wanted: readonly Wanted[],
): Promise<void> {
  const { experiment, progress } = context;
  const base = storedBasePolicy(context);
  const version: PolicyVersion = {
    runId,
    version: 0,
    checkpoint: stepNames.base,
    contentHash: base.contentHash,
    iteration: 0,
    beta: 1,
    observedKl: 0,
    targetKl: 0,
    final: false,
  };
  const requests = wanted.flatMap(({ prompts, purpose, first, samples }) =>
    samplingRequests(prompts, {
      runId,
      purpose,
      policyVersion: 0,
      firstSampleIndex: first,
      samples,
      seed: experiment.seed,
      sampling: experiment.sampling,
    }),
  );
  if ((await stream.endOffsets(topics.samplingRequests)).every((end) => end === 0)) {
    await stream.append([
      outgoing(topics.policyVersions, version),
      ...requests.map((request) => outgoing(topics.samplingRequests, request)),
    ]);
  }
  const policies = createPolicyStore(createEagerModel(base.config, base.weights), () => base.weights);
  policies.announce(version);
  const states = await stream.table(topics.calibrationState);
  const stages = [
    samplingStage(policies, Math.max(1, Math.floor(rolloutsPerBatch / experiment.calibration.references))),
    scoringStage(reward, judge, rolloutsPerBatch),
    calibrationStage({
      distributions: createReferenceDistributions(states.values()),
      transformation: identityTransformation,
      corrected: false,
      maxBatchRecords: rolloutsPerBatch,
    }),
  ];
  let done = (await stream.endOffsets(topics.rolloutSampled))[0]!;
  const total = wanted.reduce((sum, { prompts, samples }) => sum + prompts.length * samples, 0);
  await progress('sampling reference rollouts', done, total);
  await runToQuiescence(stream, stages, {
    onProgress: ({ stage, produced }) => {
      if (stage !== 'policy-sampler') return;
      done += produced;
      void progress('sampling reference rollouts', done, total);
    },
  });
}

async function agreement(reward: Scorer, judge: Scorer, context: StepContext): Promise<number> {
  const stored = await Promise.all([preferences('reward', context), preferences('judge', context)]);
  const pairs = stored.flatMap(({ heldOut }) => heldOut);
  const byReward = margins(reward.model, pairs);
  const byJudge = margins(judge.model, pairs);
  return byReward.filter((margin, index) => margin > 0 === byJudge[index]! > 0).length / pairs.length;
}
