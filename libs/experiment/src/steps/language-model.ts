import { join } from 'node:path';
import { initialWeights, openPretrained, type Pretrained } from '@infalign/language-model';
import { checkpointNames, readText, stepNames, storeModel, type StoredText } from '@infalign/pipeline';
import type { Experiment } from '@infalign/run-config';
import { modelConfig, parameterCount } from '../model-config.js';
import type { StepBody } from '../step-context.js';
import { trainLanguageModel, type LossPoint } from '../train-language-model.js';

/** What a language-model step leaves, beside the model in its folder. */
export interface LanguageModelResult {
  readonly parameters: number;
  /** Tokens predicted in training, repetitions counted; 0 of a pretrained model that is taken as it is. */
  readonly trainingTokens: number;
  /** Empty where nothing was trained, like the validation loss. */
  readonly trainingLoss: readonly LossPoint[];
  readonly validationLoss: readonly LossPoint[];
}

/** Makes the base policy, or the language model that the judge starts from. */
export function languageModelStep(which: 'base' | 'judge'): StepBody {
  return async ({ experiment, folder, progress }) => {
    const text = readText(folder.step(checkpointNames.text));
    const settings = which === 'base' ? experiment.model : experiment.judge.model;
    const { seed } = experiment;
    const start = beginning(settings, text, seed);
    const place = folder.step(which === 'base' ? stepNames.base : stepNames.judgeBase);
    const { training } = settings;
    if (!training) {
      storeModel(join(place, 'model'), start);
      return untrained(start);
    }
    const { weights, log } = await trainLanguageModel({
      folder: place,
      config: start.config,
      weights: start.weights,
      training,
      corpus: text.training,
      validation: text.heldOut,
      seed,
      onProgress: (done, total) => progress('training the language model', done, total),
    });
    storeModel(join(place, 'model'), { ...start, weights });
    const result: LanguageModelResult = {
      ...untrained(start),
      trainingTokens: training.steps * training.batch * (training.window - 1),
      trainingLoss: log.trainingLoss,
      validationLoss: log.validationLoss,
    };
    return result;
  };
}

/** The model before it is trained: of random weights, or a pretrained one. */
function beginning(
  settings: Experiment['model'] | Experiment['judge']['model'],
  { tokenizer, tokenizerConfigJson }: StoredText,
  seed: number,
): Pretrained {
  if (settings.kind === 'pretrained') return openPretrained(settings.path);
  const config = modelConfig(settings, tokenizer.vocabSize, tokenizer.endOfText);
  return {
    config,
    weights: initialWeights(config, ['language-model'], seed),
    tokenizerJson: tokenizer.toJson(),
    ...(tokenizerConfigJson === undefined ? {} : { tokenizerConfigJson }),
  };
}

function untrained({ weights }: Pretrained): LanguageModelResult {
  return { parameters: parameterCount(weights), trainingTokens: 0, trainingLoss: [], validationLoss: [] };
}
