import { describe, expect, it } from 'vitest';
import { merged } from './adapters/merged.js';
import { isTrained, withHeads } from './definition.js';
import {
  adam,
  adaptedConfig,
  expectClose,
  plainSettings,
  policyAndValueLoss,
  policyWeights,
  randomWeights,
  smallConfig,
  someSequences,
  textLoss,
  type WithModel,
} from './executor-models.fixture.js';
import type { LanguageModel } from './language-model.js';

/** How an executor treats adapters. */
export function describeAdapters<M extends LanguageModel>(withModel: WithModel<M>): void {
  describe('adapters', () => {
    const weights = randomWeights(adaptedConfig, ['language-model', 'value', 'reward'], 18);
    const sequences = someSequences(20, 19);
    const settings = { learningRate: 1e-2, maxGradientNorm: 1, temperature: 1 };
    const trained = [...weights.keys()].filter((name) => isTrained(adaptedConfig, name));

    it('compute the same apart from the weights and merged into them', () => {
      const whole = merged({ config: adaptedConfig, weights });
      expect([...whole.weights.keys()]).toEqual([...policyWeights.keys()]);
      withModel(adaptedConfig, weights, (apart) =>
        withModel(whole.config, whole.weights, (together) => {
          const expected = together.responseLogProbs(sequences, 1);
          apart.responseLogProbs(sequences, 1).forEach((row, index) => expectClose(row, expected[index]!, 1e-5));
          expectClose(apart.rewards(sequences), together.rewards(sequences), 1e-5);
          const requests = sequences.map(({ promptTokens }, index) => ({ promptTokens, randomSeed: [index] }));
          const responses = together.sample(requests, plainSettings);
          apart.sample(requests, plainSettings).forEach(({ responseTokens, logProbs }, index) => {
            expect(responseTokens).toEqual(responses[index]!.responseTokens);
            expectClose(logProbs, responses[index]!.logProbs, 1e-5);
          });
        }),
      );
    });

    it('change nothing before they are trained', () => {
      const heads = ['language-model', 'value', 'reward'] as const;
      const fresh = withHeads(adaptedConfig, policyWeights, heads, 5);
      const expected = withModel(smallConfig, policyWeights, (model) => model.responseLogProbs(sequences, 1));
      withModel(adaptedConfig, fresh, (model) => {
        model.responseLogProbs(sequences, 1).forEach((row, index) => expectClose(row, expected[index]!, 1e-6));
        model.trainer(textLoss, adam).step(sequences, {}, settings);
        expect(model.responseLogProbs(sequences, 1)[0]).not.toEqual(expected[0]);
      });
    });

    it('and heads are all that is trained, kept by the optimiser, given out and taken in', () => {
      withModel(adaptedConfig, weights, (model) => {
        const before = model.responseLogProbs(sequences, 1);
        const begin = model.weights();
        expect([...begin.keys()].sort()).toEqual(trained.toSorted());
        for (const [name, weight] of begin) expect(weight).toEqual(weights.get(name));
        const trainer = model.trainer(policyAndValueLoss, adam);
        for (let step = 0; step < 3; step++) trainer.step(sequences, {}, settings);
        const { moments } = trainer.optimiserState();
        expect([...moments.keys()].sort()).toEqual(
          trained.flatMap((name) => [`first.${name}`, `second.${name}`]).sort(),
        );
        const after = model.weights();
        for (const name of trained.filter((each) => each !== 'score.weight')) {
          expect(after.get(name)!.data, name).not.toEqual(begin.get(name)!.data);
        }
        const learned = model.responseLogProbs(sequences, 1);
        expect(learned).not.toEqual(before);
        // Where the adapters are as they were, all is: nothing else has changed.
        model.load(begin);
        expect(model.responseLogProbs(sequences, 1)).toEqual(before);
        model.load(new Map([...weights, ...after]));
        expect(model.responseLogProbs(sequences, 1)).toEqual(learned);
        expect(() => model.load(policyWeights)).toThrow('lora_A');
      });
    });
  });
}
