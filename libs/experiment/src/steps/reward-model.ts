import { join } from 'node:path';
import { bootstrapMean } from '@infalign/core';
import type { PreferencePair } from '@infalign/datasets';
import { createLanguageModel, type LanguageModel } from '@infalign/language-model';
import { readModel, stepNames, storeModel } from '@infalign/pipeline';
import { parameterCount } from '../model-config.js';
import type { StepBody } from '../step-context.js';
import { judgedPairs, trainRewardModel } from '../train-reward-model.js';
import { preferences, type RewardModelName } from './preferences.js';

/** What a reward-model step leaves, beside the model in its folder. */
export interface RewardModelResult {
  readonly parameters: number;
  readonly trainingPairs: number;
  readonly heldOutPairs: number;
  /** Share of held-out pairs ordered as their label says, with its interval over pairs. */
  readonly accuracy: { readonly mean: number; readonly low: number; readonly high: number };
}

/** Trains the reward model or the judge on its preference pairs. */
export function rewardModelStep(name: RewardModelName): StepBody {
  return async (context) => {
    const { experiment, folder, progress } = context;
    const place = folder.step(name === 'reward' ? stepNames.rewardModel : stepNames.judge);
    const start = readModel(join(folder.step(name === 'reward' ? stepNames.base : stepNames.judgeBase), 'model'));
    const { training, heldOut } = await preferences(name, context);
    const settings = name === 'reward' ? experiment.rewardModel : experiment.judge;
    const { weights } = await trainRewardModel({
      folder: place,
      config: start.config,
      weights: start.weights,
      training: settings,
      pairs: training,
      seed: experiment.seed,
      onProgress: (done, total) => progress('training on preference pairs', done, total),
    });
    storeModel(join(place, 'model'), { ...start, weights });
    const model = createLanguageModel(start.config, weights);
    const right = margins(model, heldOut).map((margin) => (margin > 0 ? 1 : margin === 0 ? 0.5 : 0));
    model.dispose();
    const { mean, low, high } = bootstrapMean(right, { seed: experiment.seed });
    const result: RewardModelResult = {
      parameters: parameterCount(weights),
      trainingPairs: training.length,
      heldOutPairs: heldOut.length,
      accuracy: { mean, low, high },
    };
    return result;
  };
}

/** By how much a model prefers the chosen response, pair by pair. */
export function margins(model: LanguageModel, pairs: readonly PreferencePair[]): number[] {
  const [chosen, rejected] = judgedPairs(model.config, pairs).map((sequences) => model.rewards(sequences));
  return Array.from(chosen!, (reward, index) => reward - rejected![index]!);
}
