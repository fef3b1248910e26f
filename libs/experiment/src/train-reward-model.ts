import { seededRandom, shuffled } from '@infalign/core';
import type { PreferencePair } from '@infalign/datasets';
import {
  createLanguageModel,
  judgedSequence,
  withHeads,
  type LanguageModelConfig,
  type Loss,
  type Sequence,
  type Weights,
} from '@infalign/language-model';
import { linearSchedule, preferenceLoss } from '@infalign/rl';
import { trainResumably } from './train-resumably.js';

/** How a reward model is trained. */
export interface RewardTraining {
  readonly epochs: number;
  /** Pairs a step. */
  readonly batch: number;
  readonly learningRate: number;
}

const rewardModelLoss: Loss = {
  inputs: {},
  compute(math, outputs) {
    const { chosen, rejected } = outputs.preferences();
    return { loss: preferenceLoss(math, chosen, rejected) };
  },
};

/**
 * Trains a reward model on preference pairs (Bradley–Terry), from the weights of a language model.
 *
 * @param weights of the language model that it starts from
 */
export async function trainRewardModel(options: {
  readonly folder: string;
  readonly config: LanguageModelConfig;
  readonly weights: Weights;
  readonly training: RewardTraining;
  readonly pairs: readonly PreferencePair[];
  readonly seed: number;
  onProgress(done: number, total: number): Promise<void>;
}): Promise<{ readonly weights: Weights; readonly trainingLoss: number[] }> {
  const { config, training, pairs, seed } = options;
  const model = createLanguageModel(config, withHeads(config, options.weights, ['reward']));
  const trainer = model.trainer(rewardModelLoss, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
  const stepsPerEpoch = Math.ceil(pairs.length / training.batch);
  const steps = training.epochs * stepsPerEpoch;
  let order: { readonly epoch: number; readonly pairs: readonly PreferencePair[] } | undefined;

  const trainingLoss = await trainResumably<number[]>({
    folder: options.folder,
    model,
    trainer,
    steps,
    log: [],
    step(index, log) {
      const epoch = Math.floor(index / stepsPerEpoch);
      if (order?.epoch !== epoch) order = { epoch, pairs: shuffled(pairs, seededRandom('pairs', seed, epoch)) };
      const start = (index % stepsPerEpoch) * training.batch;
      const batch = order.pairs.slice(start, start + training.batch);
      const { loss } = trainer.step(
        // The chosen responses first, then the rejected ones in the same order.
        judgedPairs(config, batch).flat(),
        {},
        {
          learningRate: linearSchedule(index, {
            peak: training.learningRate,
            final: 0,
            warmupSteps: Math.floor(steps / 20),
            totalSteps: steps,
          }),
          maxGradientNorm: 1,
          temperature: 1,
        },
      );
      log.push(loss);
    },
    onProgress: (done) => options.onProgress(done, steps),
  });
  const weights = model.weights();
  model.dispose();
  return { weights, trainingLoss };
}

/** What a reward model reads of pairs: the chosen responses, and the rejected ones in the same order. */
export function judgedPairs(
  config: LanguageModelConfig,
  pairs: readonly PreferencePair[],
): [chosen: Sequence[], rejected: Sequence[]] {
  return [
    pairs.map(({ promptTokens, chosen }) => judgedSequence(config, { promptTokens, responseTokens: chosen })),
    pairs.map(({ promptTokens, rejected }) => judgedSequence(config, { promptTokens, responseTokens: rejected })),
  ];
}
