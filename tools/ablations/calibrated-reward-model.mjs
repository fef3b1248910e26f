import { calibrateLeaveOneOut, calibrateReward, seededRandom, shuffled, sortedReferences } from '@infalign/core';
import { createLanguageModel, judgedSequence } from '@infalign/language-model';
import { checkpointNames } from '@infalign/pipeline';
import { binaryCrossEntropyLoss, linearSchedule } from '@infalign/rl';
import { distanceFromUniform } from './calibration-error.mjs';
import { referencesOfError } from './exact-values.mjs';
import { meanOf, meanOver, rootMeanSquare } from './interval.mjs';
import { scoreResponses, timed } from './rollouts.mjs';
import { meanSquaredError, trueCalibration } from './true-calibration.mjs';

/**
 * A model that predicts the calibrated reward of a response, so that a new prompt needs no reference rollouts. It begins as the
 * reward model and learns, by binary cross-entropy, the calibrated rewards of the training prompts' reference rollouts, each
 * with itself left out. Beside it, what there is without rollouts and without training: calibration by the references of
 * all training prompts together, as the calibrator has it for new prompts; and ½, which knows nothing.
 *
 * @param {import('./measure.mjs').Ablation} ablation
 */
export async function measureCalibratedRewardModel({ finished, settings, heldOut }) {
  const seed = `${finished.experiment.seed}/calibrated-reward-model`;
  const truths = heldOut.map(({ calibrated, many }) => trueCalibration(calibrated.rewards, many.rewards));
  const known = await finished.trainingReferences();
  const trained = timed(() => train(finished, known, settings.training));
  const model = trained.result;
  const predicted = timed(() =>
    heldOut.map(({ prompt, calibrated }) => scoreResponses(model, prompt.tokens, calibrated.responses).map(sigmoid)),
  );
  model.dispose();
  const pool = known.map(({ rewards }) => sortedReferences(rewards));
  const pooled = heldOut.map(({ calibrated }) =>
    calibrated.rewards.map((reward) => meanOf(pool.map((references) => calibrateReward(reward, references)))),
  );
  const estimates = { model: predicted.result, pool: pooled, half: pooled.map((values) => values.map(() => 0.5)) };
  const squares = Object.fromEntries(
    Object.entries(estimates).map(([estimate, values]) => [
      estimate,
      values.map((own, index) => meanSquaredError(own, truths[index])),
    ]),
  );
  return {
    prompts: heldOut.length,
    training_prompts: known.length,
    training_rollouts: known.reduce((sum, { rewards }) => sum + rewards.length, 0),
    epochs: settings.training.epochs,
    training_seconds: trained.seconds,
    seconds_per_response: predicted.seconds / predicted.result.flat().length,
    squared_error_below_pool: meanOver(
      squares.pool.map((square, index) => square - squares.model[index]),
      `${seed}/below-pool`,
    ),
    rows: Object.entries(estimates).map(([estimate, values]) => {
      const error = rootMeanSquare(squares[estimate], `${seed}/${estimate}`);
      return {
        estimate,
        error,
        equal_references: {
          mean: referencesOfError(error.mean),
          low: referencesOfError(error.high),
          high: referencesOfError(error.low),
        },
        kolmogorov_smirnov: distanceFromUniform(values),
      };
    }),
  };
}

/** @returns {import('@infalign/language-model').LanguageModel} whose reward is the logit of the calibrated reward */
function train(finished, known, { epochs, batch, learningRate }) {
  const { config, weights } = finished.stored(checkpointNames.rewardModel);
  const model = createLanguageModel(config, weights);
  const loss = {
    inputs: { target: 'sequence' },
    compute: (math, outputs, { target }) => ({ loss: binaryCrossEntropyLoss(math, outputs.rewards(), target) }),
  };
  const trainer = model.trainer(loss, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
  const examples = known.flatMap(({ promptTokens, responses, rewards }) => {
    const sorted = sortedReferences(rewards);
    return responses.map((responseTokens, index) => ({
      sequence: judgedSequence(config, { promptTokens, responseTokens }),
      target: calibrateLeaveOneOut(rewards[index], sorted),
    }));
  });
  const stepsPerEpoch = Math.ceil(examples.length / batch);
  const totalSteps = epochs * stepsPerEpoch;
  for (let epoch = 0, step = 0; epoch < epochs; epoch++) {
    const order = shuffled(examples, seededRandom('calibrated-reward-model', finished.experiment.seed, epoch));
    for (let start = 0; start < order.length; start += batch, step++) {
      const own = order.slice(start, start + batch);
      trainer.step(
        own.map(({ sequence }) => sequence),
        { target: Float32Array.from(own, ({ target }) => target) },
        {
          learningRate: linearSchedule(step, {
            peak: learningRate,
            final: 0,
            warmupSteps: Math.floor(totalSteps / 20),
            totalSteps,
          }),
          maxGradientNorm: 1,
          temperature: 1,
        },
      );
    }
  }
  return model;
}

function sigmoid(logit) {
  return 1 / (1 + Math.exp(-logit));
}
