import { describe, expect, it } from 'vitest';
import { adamStep } from './eager-trainer.js';

const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

describe('Adam', () => {
  it('takes two steps of Adam as worked out by hand', () => {
    const weights = Float32Array.of(1);
    const [first, second] = [new Float32Array(1), new Float32Array(1)];
    const settings = { ...adam, learningRate: 0.1, scale: 0.5 };
    adamStep(weights, Float32Array.of(2), first, second, { ...settings, step: 1 });
    // g = 1: m = 0.1, v = 0.001; corrected both to 1: the step is η.
    expect(weights[0]).toBeCloseTo(0.9, 6);
    adamStep(weights, Float32Array.of(-4), first, second, { ...settings, step: 2 });
    // g = −2: m = 0.09 − 0.2 = −0.11, v = 0.000999 + 0.004 = 0.004999; m̂ = −0.11/0.19, v̂ = 0.004999/0.001999.
    expect(weights[0]).toBeCloseTo(0.9 + (0.1 * (0.11 / 0.19)) / Math.sqrt(0.004999 / 0.001999), 5);
  });
});
