import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { clippedImportanceWeights } from './importance.js';

describe('clippedImportanceWeights', () => {
  it('are the ratios of the probabilities, at most the largest allowed', () => {
    const now = [0.5, 0.1, 0.9].map(Math.log);
    const then = [0.25, 0.2, 0.1].map(Math.log);
    expect([...clippedImportanceWeights(now, then, 2.5)]).toEqual([2, 0.5, 2.5].map(Math.fround));
  });

  it('reweigh what an older policy has sampled to the mean under the present one, where nothing is cut off', () => {
    const probabilities = fc.array(fc.double({ min: 0.05, max: 1, noNaN: true }), { minLength: 4, maxLength: 4 });
    const values = [3, -1, 0.5, 2];
    fc.assert(
      fc.property(probabilities, probabilities, (a, b) => {
        const normalised = (weights: number[]) => weights.map((each) => each / weights.reduce((x, y) => x + y, 0));
        const [now, then] = [normalised(a), normalised(b)];
        const weights = clippedImportanceWeights(now.map(Math.log), then.map(Math.log), Infinity);
        const expected = now.reduce((sum, probability, i) => sum + probability * values[i]!, 0);
        const reweighed = then.reduce((sum, probability, i) => sum + probability * weights[i]! * values[i]!, 0);
        expect(reweighed).toBeCloseTo(expected, 5);
      }),
      { seed: 1 },
    );
  });

  it('are all one for a policy itself', () => {
    const logProbs = [0.3, 0.01, 0.99].map(Math.log);
    expect([...clippedImportanceWeights(logProbs, logProbs, 1)]).toEqual([1, 1, 1]);
  });

  it('refuse what has other lengths', () => {
    expect(() => clippedImportanceWeights([0], [0, 0], 2)).toThrow('[1]');
  });
});
