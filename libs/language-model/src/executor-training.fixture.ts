import { InputError, seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { isTrained, type LanguageModelConfig, type Weights } from './definition.js';
import {
  adam,
  adaptedConfig,
  expectClose,
  partlyAdaptedConfig,
  plainOutputs,
  plainSettings,
  policyAndValueLoss,
  policyWeights,
  randomWeights,
  slope,
  smallConfig,
  someSequences,
  textLoss,
  tiedConfig,
  type WithModel,
} from './executor-models.fixture.js';
import type { LanguageModel, Loss, Sequence, Trainer } from './language-model.js';

/** How an executor trains. */
export function describeTraining<M extends LanguageModel>(withModel: WithModel<M>): void {
  describe('training', () => {
    const settings = { learningRate: 1e-3, maxGradientNorm: Infinity, temperature: 0.8 };
    /** A loss with a different weight for every output, so that no output can stand in for another. */
    const mixedLoss: Loss<'logProbWeights' | 'valueWeights' | 'rewardWeights', 'rewardPart'> = {
      inputs: { logProbWeights: 'response token', valueWeights: 'response token', rewardWeights: 'sequence' },
      compute(math, { logProbs, values, rewards }, { logProbWeights, valueWeights, rewardWeights }) {
        const rewardPart = math.mean(math.multiply(rewards(), rewardWeights));
        const valuePart = math.mean(math.multiply(math.square(values()), valueWeights));
        const logProbPart = math.mean(math.multiply(logProbs(), logProbWeights));
        return { loss: math.add(math.add(logProbPart, valuePart), rewardPart), rewardPart };
      },
    };
    const waves = (count: number, phase: number): Float32Array =>
      Float32Array.from({ length: count }, (_, index) => 10 * Math.cos(index + phase));
    const mixedInputs = (sequences: readonly Sequence[]) => {
      const tokens = sequences.reduce((sum, { responseTokens }) => sum + responseTokens.length, 0);
      return {
        logProbWeights: waves(tokens, 0),
        valueWeights: waves(tokens, 1),
        rewardWeights: waves(sequences.length, 2),
      };
    };
    const plainMixedLoss = (config: LanguageModelConfig, weights: Weights, sequences: readonly Sequence[]): number => {
      const outputs = sequences.map((sequence) => plainOutputs(config, weights, sequence, settings.temperature));
      const weighted = (list: number[], phase: number): number =>
        list.reduce((sum, value, index) => sum + value * 10 * Math.cos(index + phase), 0) / list.length;
      return (
        weighted(
          outputs.flatMap(({ logProbs }) => logProbs),
          0,
        ) +
        weighted(
          outputs.flatMap(({ values }) => values.map((value) => value * value)),
          1,
        ) +
        weighted(
          outputs.map(({ reward }) => reward),
          2,
        )
      );
    };

    it.each([
      ['an output projection of its own', smallConfig],
      ['tied embeddings', tiedConfig],
      ['adapters', adaptedConfig],
      ['adapters of some layers, and tied embeddings', partlyAdaptedConfig],
    ])('has the gradients that finite differences of the plain loops give, with %s', (_, config) => {
      const weights = randomWeights(config, ['language-model', 'value', 'reward'], 9);
      const sequences = someSequences(4, 10);
      withModel(config, weights, (model) => {
        const trainer = model.trainer(mixedLoss, { ...adam, beta1: 0 });
        const { loss, rewardPart, gradientNorm } = trainer.step(sequences, mixedInputs(sequences), settings);
        const rewards = sequences.map((sequence) => plainOutputs(config, weights, sequence, 1).reward);
        const part = rewards.reduce((sum, reward, row) => sum + reward * 10 * Math.cos(row + 2), 0) / rewards.length;
        expectClose([rewardPart], [part], 1e-3);
        expectClose([loss], [plainMixedLoss(config, weights, sequences)], 1e-3);
        // From rest, and with β₁ = 0, the first moment is the gradient.
        const gradients = trainer.optimiserState().moments;
        let squares = 0;
        for (const [name, { data }] of weights) {
          expect(gradients.has(`first.${name}`), name).toBe(isTrained(config, name));
          if (!isTrained(config, name)) continue;
          const gradient = gradients.get(`first.${name}`)!.data;
          squares += gradient.reduce((sum, g) => sum + g * g, 0);
          const random = seededRandom('element', name);
          for (let trial = 0; trial < 4; trial++) {
            const index = random.integer(data.length);
            const expected = slope(weights, name, index, (moved) => plainMixedLoss(config, moved, sequences));
            expect(
              Math.abs(gradient[index]! - expected),
              `${name}[${index}]: ${gradient[index]} for ${expected}`,
            ).toBeLessThan(1e-3 * Math.max(1, Math.abs(expected)));
          }
        }
        expectClose([gradientNorm / Math.sqrt(squares)], [1], 1e-5);
      });
    });

    it('has the same gradients from a large batch as the plain loops', () => {
      const weights = randomWeights(smallConfig, ['language-model', 'value', 'reward'], 9);
      const sequences = someSequences(150, 11);
      withModel(smallConfig, weights, (model) => {
        const trainer = model.trainer(mixedLoss, { ...adam, beta1: 0 });
        trainer.step(sequences, mixedInputs(sequences), settings);
        const gradients = trainer.optimiserState().moments;
        for (const [name, index] of [
          ['model.embed_tokens.weight', 40],
          ['model.layers.0.self_attn.k_proj.weight', 11],
          ['model.layers.1.post_attention_layernorm.weight', 5],
        ] as const) {
          const expected = slope(weights, name, index, (moved) => plainMixedLoss(smallConfig, moved, sequences));
          expect(Math.abs(gradients.get(`first.${name}`)!.data[index]! / expected - 1)).toBeLessThan(2e-3);
        }
      });
    });

    it('gives a loss the rewards of the first and of the second half of the sequences', () => {
      const sequences = someSequences(6, 17);
      withModel(smallConfig, policyWeights, (model) => {
        const difference: Loss = {
          inputs: {},
          compute(math, outputs) {
            const { chosen, rejected } = outputs.preferences();
            return { loss: math.mean(math.multiply(chosen, math.subtract(chosen, rejected))) };
          },
        };
        const rewards = model.rewards(sequences);
        const expected = [0, 1, 2].reduce((sum, i) => sum + (rewards[i]! * (rewards[i]! - rewards[i + 3]!)) / 3, 0);
        expectClose([model.trainer(difference, adam).step(sequences, {}, settings).loss], [expected], 1e-4);
      });
    });

    it('gives a loss the log-probabilities of whole responses, of the first and of the second half', () => {
      const sequences = someSequences(6, 18);
      withModel(smallConfig, policyWeights, (model) => {
        const difference: Loss = {
          inputs: {},
          compute(math, outputs) {
            const { chosen, rejected } = outputs.comparedLogProbs();
            return { loss: math.mean(math.multiply(chosen, math.subtract(chosen, rejected))) };
          },
        };
        const logProbs = model
          .responseLogProbs(sequences, settings.temperature)
          .map((each) => each.reduce((sum, one) => sum + one, 0));
        const expected = [0, 1, 2].reduce((sum, i) => sum + (logProbs[i]! * (logProbs[i]! - logProbs[i + 3]!)) / 3, 0);
        expectClose([model.trainer(difference, adam).step(sequences, {}, settings).loss / expected], [1], 1e-5);
      });
    });

    it('has the gradient of a loss of whole responses', () => {
      const sequences = someSequences(4, 19);
      const weights = randomWeights(smallConfig, ['language-model'], 9);
      const name = 'model.layers.1.mlp.down_proj.weight';
      const loss: Loss = {
        inputs: {},
        compute(math, outputs) {
          const { chosen, rejected } = outputs.comparedLogProbs();
          return { loss: math.mean(math.square(math.subtract(chosen, rejected))) };
        },
      };
      const lossOf = (moved: Weights): number =>
        withModel(smallConfig, moved, (model) => {
          const sums = model
            .responseLogProbs(sequences, settings.temperature)
            .map((each) => each.reduce((sum, one) => sum + one, 0));
          return ((sums[0]! - sums[2]!) ** 2 + (sums[1]! - sums[3]!) ** 2) / 2;
        });
      withModel(smallConfig, weights, (model) => {
        const trainer = model.trainer(loss, { ...adam, beta1: 0 });
        trainer.step(sequences, {}, settings);
        const { data } = trainer.optimiserState().moments.get(`first.${name}`)!;
        const steepest = data.reduce(
          (best, value, index) => (Math.abs(value) > Math.abs(data[best]!) ? index : best),
          0,
        );
        const expected = slope(weights, name, steepest, lossOf);
        expect(Math.abs(data[steepest]! / expected - 1)).toBeLessThan(1e-2);
      });
    });

    it('leaves heads alone that the loss does not use', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const trainer = model.trainer(textLoss, adam);
        trainer.step(someSequences(3, 12), {}, settings);
        const after = model.weights();
        for (const name of ['value_head.weight', 'value_head.bias', 'score.weight']) {
          expect(after.get(name)!.data).toEqual(policyWeights.get(name)!.data);
        }
        expect(after.get('lm_head.weight')!.data).not.toEqual(policyWeights.get('lm_head.weight')!.data);
      });
    });

    it('scales gradients down to the maximum norm, and reports the norm before', () => {
      const sequences = someSequences(4, 10);
      const moments = (maxGradientNorm: number): { gradientNorm: number; data: Float32Array } =>
        withModel(smallConfig, policyWeights, (model) => {
          const trainer = model.trainer(mixedLoss, adam);
          const { gradientNorm } = trainer.step(sequences, mixedInputs(sequences), { ...settings, maxGradientNorm });
          return { gradientNorm, data: trainer.optimiserState().moments.get('first.model.norm.weight')!.data };
        });
      const free = moments(Infinity);
      const clipped = moments(free.gradientNorm / 4);
      expect(clipped.gradientNorm).toBe(free.gradientNorm);
      expectClose(
        clipped.data,
        free.data.map((value) => value / 4),
        1e-6 * free.gradientNorm,
      );
    });

    it('learns a text by heart, and the model sees the new weights', () => {
      const weights = randomWeights(smallConfig, ['language-model'], 13);
      const text = [{ promptTokens: [1], responseTokens: [4, 2, 8, 5, 7, 1, 4, 2, 8, 5, 7] }];
      withModel(smallConfig, weights, (model) => {
        const trainer = model.trainer(textLoss, adam);
        let last = Infinity;
        for (let step = 0; step < 60; step++) {
          last = trainer.step(
            text,
            {},
            {
              learningRate: 0.02,
              maxGradientNorm: 1,
              temperature: 1,
            },
          ).loss;
        }
        expect(last).toBeLessThan(0.05);
        expect(model.responseLogProbs(text, 1)[0]!.reduce((sum, value) => sum + value, 0)).toBeGreaterThan(-0.6);
        const [sampled] = model.sample([{ promptTokens: [1], randomSeed: [0] }], {
          ...plainSettings,
          topK: 1,
          maxResponseTokens: 11,
        });
        expect(Array.from(sampled!.responseTokens)).toEqual(text[0]!.responseTokens);
      });
    });

    it('goes on from its saved state exactly as if it had not stopped', () => {
      const sequences = someSequences(6, 14);
      const stepOf = (trainer: Trainer): unknown => trainer.step(sequences, {}, { ...settings, maxGradientNorm: 1 });
      const whole = withModel(smallConfig, policyWeights, (model) => {
        const trainer = model.trainer(policyAndValueLoss, adam);
        for (let step = 0; step < 4; step++) stepOf(trainer);
        return { weights: model.weights(), state: trainer.optimiserState() };
      });
      const half = withModel(smallConfig, policyWeights, (model) => {
        const trainer = model.trainer(policyAndValueLoss, adam);
        for (let step = 0; step < 2; step++) stepOf(trainer);
        return { weights: model.weights(), state: trainer.optimiserState() };
      });
      const resumed = withModel(
        smallConfig,
        randomWeights(smallConfig, ['language-model', 'value', 'reward'], 99),
        (model) => {
          model.load(half.weights);
          const trainer = model.trainer(policyAndValueLoss, adam);
          trainer.load(half.state);
          for (let step = 0; step < 2; step++) stepOf(trainer);
          return { weights: model.weights(), state: trainer.optimiserState() };
        },
      );
      expect(half.state.steps).toBe(2);
      expect(resumed).toEqual(whole);
      expect(resumed).not.toEqual(half);
    });

    it('refuses to take a step that would write infinite weights', () => {
      withModel(smallConfig, policyWeights, (model) => {
        const infinite: Loss = {
          inputs: {},
          compute: (math, { logProbs }) => ({ loss: math.multiply(math.mean(logProbs()), Infinity) }),
        };
        const trainer = model.trainer(infinite, adam);
        expect(() => trainer.step(someSequences(2, 1), {}, settings)).toThrow(InputError);
        expect(model.weights()).toEqual(policyWeights);
      });
    });
  });
}
