import { join } from 'node:path';
import { checkpointNames, readText, stepNames, storeModel } from '@infalign/pipeline';
import { modelConfig, parameterCount } from '../model-config.js';
import type { StepBody } from '../step-context.js';
import { trainLanguageModel, type LossPoint } from '../train-language-model.js';
import { forgetTraining } from '../train-resumably.js';

/** What a language-model step leaves, beside the model in its folder. */
export interface LanguageModelResult {
  readonly parameters: number;
  /** Tokens predicted in training, repetitions counted. */
  readonly trainingTokens: number;
  readonly trainingLoss: readonly LossPoint[];
  readonly validationLoss: readonly LossPoint[];
}

/** Trains the base policy, or the language model that the judge starts from. */
export function languageModelStep(which: 'base' | 'judge'): StepBody {
  return async ({ experiment, folder, progress }) => {
    const text = readText(folder.step(checkpointNames.text));
    const architecture = which === 'base' ? experiment.model : experiment.judge.model;
    const { training } = architecture;
    const config = modelConfig(architecture, text.tokenizer.vocabSize, text.tokenizer.endOfText);
    const place = folder.step(which === 'base' ? stepNames.base : stepNames.judgeBase);
    const { weights, log } = await trainLanguageModel({
      folder: place,
      config,
      training,
      corpus: text.training,
      validation: text.heldOut,
      seed: experiment.seed,
      onProgress: (done, total) => progress('training the language model', done, total),
    });
    storeModel(join(place, 'model'), { config, weights, tokenizerJson: text.tokenizer.toJson() });
    forgetTraining(place);
    const result: LanguageModelResult = {
      parameters: parameterCount(weights),
      trainingTokens: training.steps * training.batch * (training.window - 1),
      trainingLoss: log.trainingLoss,
      validationLoss: log.validationLoss,
    };
    return result;
  };
}
