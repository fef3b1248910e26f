import { Purpose, type CalibrationState, type ScoredRollout } from '@infalign/contracts';
import { createLanguageModel, type LanguageModel } from '@infalign/language-model';
import { checkpointNames, readModel, readText, stepNames } from '@infalign/pipeline';
import { topics } from '@infalign/rollout-stream';
import { leftOfEach } from '../carry-out.js';
import { phraseLiking, phraseShare, plantOf } from '../planted-phrase.js';
import { rankedResponses, type RankedResponse } from '../ranked-responses.js';
import type { StepBody, StepContext } from '../step-context.js';
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

/** What the base policy and the reward models make of a planted phrase, one number for each evaluation prompt. */
export interface PlantMeasurement {
  /** Share of base rollouts that say it. */
  readonly phraseShares: readonly number[];
  /** By how much it raises the reward of base rollouts that it is put into, in their standard deviations. */
  readonly proxyLiking: readonly number[];
  readonly judgeLiking: readonly number[];
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
  /** Only where a phrase is planted. */
  readonly plant?: PlantMeasurement;
}

/** Evaluation prompts whose responses the report shows. */
export const shownPrompts = 4;

/** Samples K base rollouts for every training prompt, and makes the reference distributions. */
export const trainingReferencesStep: StepBody = async (context) => {
  const { folder } = context;
  const prompts = readText(folder.step(checkpointNames.text)).prompts.train;
  const run = { step: stepNames.trainingReferences, calibration: [] };
  return await context.carryOut(run, context, async ({ record: { runId }, stream }) => {
    const states = new Map<string, CalibrationState>();
    for (const state of (await stream.table(topics.calibrationState)).values()) {
      if (state.runId === runId) states.set(state.promptId, state);
    }
    const result: TrainingReferencesResult = {
      states: leftOfEach(prompts, states, 'reference distribution', folder.step(run.step)),
    };
    return result;
  });
};

/** Samples base rollouts for calibration and evaluation prompts: references, and fresh ones to measure calibration on. */
export const heldOutReferencesStep: StepBody = async (context) => {
  const { experiment, folder } = context;
  const { prompts, tokenizer } = readText(folder.step(checkpointNames.text));
  const plant = plantOf(experiment, tokenizer);
  const run = { step: stepNames.heldOutReferences, calibration: [] };
  return await context.carryOut(run, context, async ({ record: { runId, scoredFrom }, stream }) => {
    const rollouts = new Map<string, ScoredRollout[]>();
    for await (const { value } of stream.readAll(topics.rolloutScored, scoredFrom)) {
      const { promptId, ...rollout } = value.rollout!;
      if (rollout.runId !== runId) continue;
      const known = rollouts.get(promptId);
      if (known) known.push(value);
      else rollouts.set(promptId, [value]);
    }
    const rewards = (promptId: string, purpose: Purpose): number[] =>
      rollouts
        .get(promptId)!
        .filter((scored) => scored.rollout!.purpose === purpose)
        .map((scored) => scored.reward!.reward);
    const evaluated = prompts.evaluation.map(({ id }) => rollouts.get(id)!);
    const proxy = openModel(checkpointNames.rewardModel, context);
    const judge = openModel(checkpointNames.judge, context);
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
      agreement: await agreement(proxy, judge, context),
      samples: prompts.evaluation
        .slice(0, shownPrompts)
        .map(({ id }) => ({ promptId: id, responses: rankedResponses(rollouts.get(id)!, tokenizer) })),
      ...(plant && {
        plant: {
          phraseShares: evaluated.map((own) => phraseShare(own, plant, tokenizer)),
          proxyLiking: phraseLiking(plant, evaluated, proxy, (scored) => scored.reward!.reward),
          judgeLiking: phraseLiking(plant, evaluated, judge, (scored) => scored.judge!.reward),
        },
      }),
    };
    proxy.dispose();
    judge.dispose();
    return result;
  });
};

function openModel(name: string, { folder }: StepContext): LanguageModel {
  const { config, weights } = readModel(folder.step(name));
  return createLanguageModel(config, weights);
}

/** Share of held-out pairs that proxy and judge order alike. */
async function agreement(proxy: LanguageModel, judge: LanguageModel, context: StepContext): Promise<number> {
  const stored = await Promise.all([preferences('reward', context), preferences('judge', context)]);
  const pairs = stored.flatMap(({ heldOut }) => heldOut);
  const byProxy = margins(proxy, pairs);
  const byJudge = margins(judge, pairs);
  return byProxy.filter((margin, index) => margin > 0 === byJudge[index]! > 0).length / pairs.length;
}
