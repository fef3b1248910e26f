import { Purpose, type CalibrationState, type ScoredRollout } from '@infalign/contracts';
import { createLanguageModel, type LanguageModel } from '@infalign/language-model';
import { checkpointNames, readModel, readText, stepNames } from '@infalign/pipeline';
import { topics } from '@infalign/rollout-stream';
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

/** Samples K base rollouts for every training prompt, and makes the reference distributions. */
export const trainingReferencesStep: StepBody = async (context) => {
  const prompts = readText(context.folder.step(checkpointNames.text)).prompts.train;
  const run = { step: stepNames.trainingReferences, calibration: [] };
  return await context.carryOut(run, context, async ({ record: { runId }, stream }) => {
    const states = new Map<string, CalibrationState>();
    for (const state of (await stream.table(topics.calibrationState)).values()) {
      if (state.runId === runId) states.set(state.promptId, state);
    }
    const result: TrainingReferencesResult = { states: prompts.map(({ id }) => states.get(id)!) };
    return result;
  });
};

/** Samples base rollouts for calibration and evaluation prompts: references, and fresh ones to measure calibration on. */
export const heldOutReferencesStep: StepBody = async (context) => {
  const { prompts, tokenizer } = readText(context.folder.step(checkpointNames.text));
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
      agreement: await agreement(context),
      samples: prompts.evaluation
        .slice(0, shownPrompts)
        .map(({ id }) => ({ promptId: id, responses: rankedResponses(rollouts.get(id)!, tokenizer) })),
    };
    return result;
  });
};

/** Share of held-out pairs that proxy and judge order alike. */
async function agreement(context: StepContext): Promise<number> {
  const model = (name: string): LanguageModel => {
    const { config, weights } = readModel(context.folder.step(name));
    return createLanguageModel(config, weights);
  };
  const [reward, judge] = [model(checkpointNames.rewardModel), model(checkpointNames.judge)];
  const stored = await Promise.all([preferences('reward', context), preferences('judge', context)]);
  const pairs = stored.flatMap(({ heldOut }) => heldOut);
  const byReward = margins(reward, pairs);
  const byJudge = margins(judge, pairs);
  reward.dispose();
  judge.dispose();
  return byReward.filter((margin, index) => margin > 0 === byJudge[index]! > 0).length / pairs.length;
}
