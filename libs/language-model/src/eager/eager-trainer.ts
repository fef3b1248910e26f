import * as tf from '@tensorflow/tfjs-core';
import { InputError } from '@infalign/core';
import type { Weights } from '../definition.js';
import type { AdamSettings, Loss, Trainer } from '../language-model.js';
import { sequenceOfTokens } from '../token-sequences.js';
import { eagerArithmetic } from './arithmetic.js';
import { packBatch } from './batching.js';
import type { EagerModel } from './eager-model.js';

/**
 * Trains an eager model with Adam. The weights' master copy and Adam's moments are plain arrays: one loop over them is
 * several times faster than the same arithmetic in tensor operations.
 */
export function createEagerTrainer<Input extends string, Statistic extends string>(
  model: EagerModel,
  loss: Loss<Input, Statistic>,
  adam: AdamSettings,
): Trainer<Input, Statistic> {
  const memory = new Map(
    [...model.trained].map(([name, variable]) => [
      name,
      { shape: variable.shape, first: new Float32Array(variable.size), second: new Float32Array(variable.size) },
    ]),
  );
  let steps = 0;

  return {
    step(sequences, inputs, { learningRate, maxGradientNorm, temperature }) {
      const batch = packBatch(model.config, sequences);
      const variables = [...model.trained.values()];
      const reported: Record<string, number> = {};
      const { value, grads } = tf.tidy(() =>
        tf.variableGrads(() => {
          let states: tf.Tensor2D | undefined;
          const responseStates = (): tf.Tensor2D => (states ??= model.responseStates(batch));
          const rewards = (): tf.Tensor1D => model.rewardsOf(batch);
          const logProbs = (): tf.Tensor1D => model.logProbsIn(responseStates(), batch, temperature);
          const halves = (values: tf.Tensor1D): { readonly chosen: tf.Tensor; readonly rejected: tf.Tensor } => {
            const [chosen, rejected] = tf.split(values, 2) as [tf.Tensor1D, tf.Tensor1D];
            return { chosen, rejected };
          };
          const outputs = {
            logProbs,
            values: () => model.valuesIn(responseStates()),
            rewards,
            preferences: () => halves(rewards()),
            comparedLogProbs: () =>
              halves(tf.unsortedSegmentSum(logProbs(), tf.tensor1d(sequenceOfTokens(batch.lengths)), batch.batch)),
          };
          const given = Object.fromEntries(
            Object.entries<Float32Array>(inputs).map(([name, values]) => [name, tf.tensor1d(values)]),
          ) as Record<Input, tf.Tensor>;
          const computed: Readonly<Record<string, tf.Tensor>> = loss.compute<tf.Tensor>(
            eagerArithmetic,
            outputs,
            given,
          );
          for (const [name, tensor] of Object.entries(computed)) reported[name] = tensor.dataSync()[0]!;
          return computed['loss'] as tf.Scalar;
        }, variables),
      );
      const gradients = new Map<string, Float32Array>();
      let squares = 0;
      for (const [name, variable] of model.trained) {
        // Weights that the loss does not touch (a head it does not use) have no gradient.
        const gradient = grads[variable.name]?.dataSync<'float32'>();
        if (!gradient) continue;
        gradients.set(name, gradient);
        for (let index = 0; index < gradient.length; index++) squares += gradient[index]! * gradient[index]!;
      }
      const gradientNorm = Math.sqrt(squares);
      const result = { ...reported, gradientNorm } as Record<Statistic | 'loss' | 'gradientNorm', number>;
      tf.dispose([value, grads]);
      if (!Number.isFinite(result.loss) || !Number.isFinite(squares)) {
        throw new InputError(
          `training diverged: loss ${result.loss}, gradient norm ${gradientNorm}; lower the learning rate`,
        );
      }
      steps++;
      const scale = Math.min(1, maxGradientNorm / gradientNorm);
      for (const [name, gradient] of gradients) {
        const variable = model.trained.get(name)!;
        const weights = variable.dataSync<'float32'>();
        const { first, second } = memory.get(name)!;
        adamStep(weights, gradient, first, second, { ...adam, learningRate, scale, step: steps });
        tf.tidy(() => variable.assign(tf.tensor(weights, variable.shape, 'float32')));
      }
      return result;
    },
    optimiserState() {
      const moments: [string, { shape: readonly number[]; data: Float32Array }][] = [];
      for (const [name, { shape, first, second }] of memory) {
        moments.push(
          [`first.${name}`, { shape, data: first.slice() }],
          [`second.${name}`, { shape, data: second.slice() }],
        );
      }
      return { moments: new Map(moments), steps };
    },
    load(state) {
      for (const [name, { first, second }] of memory) {
        first.set(moment(state.moments, `first.${name}`, first.length));
        second.set(moment(state.moments, `second.${name}`, second.length));
      }
      steps = state.steps;
    },
  };
}

function moment(moments: Weights, name: string, length: number): Float32Array {
  const data = moments.get(name)?.data;
  if (data?.length !== length) throw new InputError(`The optimiser state lacks ${name}: it belongs to another model.`);
  return data;
}

/**
 * One step of Adam, in place: `m ← β₁m + (1−β₁)g`, `v ← β₂v + (1−β₂)g²`,
 * `w ← w − η·(m/(1−β₁ᵗ)) / (√(v/(1−β₂ᵗ)) + ε)` (Kingma & Ba, arXiv 1412.6980, Algorithm 1).
 *
 * @param scale multiplies the gradient before anything else
 * @param step t, counted from 1
 */
export function adamStep(
  weights: Float32Array,
  gradient: Float32Array,
  first: Float32Array,
  second: Float32Array,
  settings: AdamSettings & { readonly learningRate: number; readonly scale: number; readonly step: number },
): void {
  const { beta1, beta2, epsilon, learningRate, scale, step } = settings;
  const rate = learningRate / (1 - beta1 ** step);
  const correction = 1 / (1 - beta2 ** step);
  for (let index = 0; index < weights.length; index++) {
    const g = gradient[index]! * scale;
    const m = beta1 * first[index]! + (1 - beta1) * g;
    const v = beta2 * second[index]! + (1 - beta2) * g * g;
    first[index] = m;
    second[index] = v;
    weights[index] = weights[index]! - (rate * m) / (Math.sqrt(v * correction) + epsilon);
  }
}
