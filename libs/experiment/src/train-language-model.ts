import { seededRandom } from '@infalign/core';
import {
  createLanguageModel,
  type LanguageModelConfig,
  type Loss,
  type Sequence,
  type Weights,
} from '@infalign/language-model';
import { crossEntropyLoss, linearSchedule } from '@infalign/rl';
import type { Experiment } from '@infalign/run-config';
import { trainResumably } from './train-resumably.js';

/** A loss at a step, in nats a token. */
export interface LossPoint {
  readonly step: number;
  readonly loss: number;
}

/** What was recorded of a training. */
export interface LanguageModelLog {
  /** Means over the steps since the point before. */
  readonly trainingLoss: LossPoint[];
  readonly validationLoss: LossPoint[];
  /** Losses since the last point. */
  pending: number[];
}

type LanguageModelTraining = NonNullable<Experiment['model']['training']>;

/** Points of each curve. */
const points = 20;
const languageModelLoss: Loss = {
  inputs: {},
  compute: (math, outputs) => ({ loss: crossEntropyLoss(math, outputs.logProbs()) }),
};

/** Windows that the validation loss is measured on. */
const validationWindows = 64;

/**
 * Trains a language model on text: each step on windows drawn at random from the corpus.
 *
 * @param weights that it begins with
 * @param corpus token ids, documents one after another, each ended by end-of-text
 */
export async function trainLanguageModel(options: {
  readonly folder: string;
  readonly config: LanguageModelConfig;
  readonly weights: Weights;
  readonly training: LanguageModelTraining;
  readonly corpus: Uint16Array;
  readonly validation: Uint16Array;
  readonly seed: number;
  onProgress(done: number, total: number): Promise<void>;
}): Promise<{ readonly weights: Weights; readonly log: LanguageModelLog }> {
  const { config, training, corpus, validation, seed } = options;
  const model = createLanguageModel(config, options.weights);
  const trainer = model.trainer(languageModelLoss, { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 });
  const held = windows(validation, validationWindows, training.window, 'validation', seed);
  const validationLoss = (): number => {
    const logProbs = model.responseLogProbs(held, 1);
    const [sum, count] = logProbs.reduce(
      ([sum, count], row) => [sum - row.reduce((a, b) => a + b, 0), count + row.length],
      [0, 0],
    );
    return sum / count;
  };
  const isPoint = (step: number): boolean =>
    Math.floor((step * points) / training.steps) > Math.floor(((step - 1) * points) / training.steps);

  const log = await trainResumably<LanguageModelLog>({
    folder: options.folder,
    model,
    trainer,
    steps: training.steps,
    log: { trainingLoss: [], validationLoss: [{ step: 0, loss: validationLoss() }], pending: [] },
    step(index, log) {
      const learningRate = linearSchedule(index, {
        peak: training.learningRate,
        final: 0.1 * training.learningRate,
        warmupSteps: training.warmupSteps,
        totalSteps: training.steps,
      });
      const { loss } = trainer.step(
        windows(corpus, training.batch, training.window, 'window', seed, index),
        {},
        { learningRate, maxGradientNorm: training.maxGradientNorm, temperature: 1 },
      );
      log.pending.push(loss);
      const step = index + 1;
      if (isPoint(step)) {
        log.trainingLoss.push({ step, loss: log.pending.reduce((a, b) => a + b, 0) / log.pending.length });
        log.validationLoss.push({ step, loss: validationLoss() });
        log.pending = [];
      }
    },
    onProgress: (done) => options.onProgress(done, training.steps),
  });
  const weights = model.weights();
  model.dispose();
  return { weights, log };
}

/** Windows at random places: one token is given, the others are predicted. */
function windows(text: Uint16Array, count: number, length: number, ...seed: readonly (string | number)[]): Sequence[] {
  const random = seededRandom(...seed);
  return Array.from({ length: count }, () => {
    const start = random.integer(text.length - length + 1);
    return {
      promptTokens: text.subarray(start, start + 1),
      responseTokens: text.subarray(start + 1, start + length),
    };
  });
}
