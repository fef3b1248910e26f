import { loadDataset } from '@infalign/datasets';
import { trainTokenizer, type Tokenizer } from '@infalign/language-model';
import { checkpointNames, storeText, type StoredText } from '@infalign/pipeline';
import type { Experiment } from '@infalign/run-config';
import { plantOf } from '../planted-phrase.js';
import { checkPretrained } from '../pretrained-models.js';
import type { StepBody } from '../step-context.js';
import { rewardPrompts } from './preferences.js';

/** What the text step leaves, beside the text in its folder. */
export interface TextResult {
  readonly vocabulary: number;
  readonly trainingTokens: number;
}

/** Reads the dataset, trains the tokenizer or takes that of a pretrained model, and draws the sets of prompts. */
export const textStep: StepBody = async ({ experiment, folder, cacheFolder, progress }) => {
  const { seed } = experiment;
  await progress('reading the dataset', 0, 3);
  const dataset = await loadDataset(experiment.dataset, {
    seed,
    heldOutShare: experiment.prompts.heldOutShare,
    cacheFolder,
  });
  await progress(experiment.tokenizer ? 'training the tokenizer' : 'reading the pretrained models', 1, 3);
  const tokenizing = tokenizingOf(experiment, dataset.trainingTexts);
  const { tokenizer } = tokenizing;
  // A phrase that is too long is refused before anything is trained.
  plantOf(experiment, tokenizer);
  await progress('drawing prompts', 2, 3);
  const human = experiment.rewardModel.labels === 'human';
  const { maxResponseTokens } = experiment.sampling;
  const prompts = dataset.drawPrompts({
    codec: tokenizer,
    seed,
    tokens: experiment.prompts.tokens,
    counts: {
      train: experiment.prompts.train,
      calibration: experiment.prompts.calibration,
      evaluation: experiment.prompts.evaluation,
      reward: rewardPrompts(experiment.rewardModel, human),
      judge: rewardPrompts(experiment.judge, human),
      accuracy: human ? Math.max(experiment.rewardModel.heldOutPairs, experiment.judge.heldOutPairs) : 0,
    },
    comparedWithin: human ? maxResponseTokens : undefined,
  });
  const options = { codec: tokenizer, maxResponseTokens, endOfText: tokenizer.endOfText };
  const training = concatenated(dataset.trainingTexts, tokenizer);
  storeText(folder.step(checkpointNames.text), {
    ...tokenizing,
    training,
    heldOut: concatenated(dataset.heldOutTexts, tokenizer),
    prompts,
    humanPairs: {
      reward: human ? dataset.humanPairs(prompts.reward, options) : [],
      judge: human ? dataset.humanPairs(prompts.judge, options) : [],
      heldOut: human ? dataset.humanPairs(prompts.accuracy, options) : [],
    },
  });
  const result: TextResult = { vocabulary: tokenizer.vocabSize, trainingTokens: training.length };
  return result;
};

/** The tokenizer of the experiment: trained on its text, or that of its pretrained models. */
function tokenizingOf(
  experiment: Experiment,
  texts: readonly string[],
): Pick<StoredText, 'tokenizer' | 'tokenizerConfigJson'> {
  if (experiment.tokenizer) return { tokenizer: trainTokenizer(texts, experiment.tokenizer.vocabulary) };
  return checkPretrained(experiment);
}

function concatenated(texts: readonly string[], tokenizer: Tokenizer): Uint16Array {
  const documents = texts.map((text) => tokenizer.encode(text));
  const tokens = new Uint16Array(documents.reduce((sum, document) => sum + document.length + 1, 0));
  let offset = 0;
  for (const document of documents) {
    tokens.set(document, offset);
    offset += document.length;
    tokens[offset++] = tokenizer.endOfText;
  }
  return tokens;
}
