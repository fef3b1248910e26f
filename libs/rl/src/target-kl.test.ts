import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { linearSchedule } from './schedules.js';
import { initialTargetKlState, updateTargetKl } from './target-kl.js';

/**
 * A model of training, which follows the KL of real runs within a few hundredths of a nat. Its tilt is the move towards
 * reward; beside it, the noise of the updates has a KL, which the penalty takes back only slowly.
 */
interface Plant {
  readonly targetKl: number;
  /** β of the exact optimum with that KL. */
  readonly initialBeta: number;
  /** Tilt at the optimum of β = 1. */
  readonly capacity: number;
  readonly speed: number;
  /** KL that the noise of an iteration's updates adds. */
  readonly updateNoise: number;
  /** How fast the penalty takes it back, compared with the tilt. */
  readonly noiseDecay: number;
  /** How much the spread of the penalties slows training: updates are of whitened advantages. */
  readonly penaltySpread: number;
  readonly iterations: number;
  readonly learningRateDecays: boolean;
  readonly seed: number;
}

// Fitted to runs of the quickstart's task with all weights learned, by transformation.
const identity = { capacity: 0.495, speed: 0.7665, updateNoise: 0.0868, noiseDecay: 0.2177, penaltySpread: 2.8575 };
const exponential = { capacity: 1.0794, speed: 0.3288, updateNoise: 0.0622, noiseDecay: 0.737, penaltySpread: 8.353 };
const measurementNoise = 0.03;

const plant: Plant = {
  ...identity,
  targetKl: 0.3,
  initialBeta: 1.17,
  iterations: 32,
  learningRateDecays: true,
  seed: 1,
};
const plants: readonly Plant[] = [
  plant,
  { ...plant, targetKl: 0.8, initialBeta: 0.66 },
  { ...plant, ...exponential, initialBeta: 1.93 },
  { ...plant, ...exponential, targetKl: 0.8, initialBeta: 1.5 },
];

/** The KL after each iteration. */
function simulate(training: Plant): number[] {
  const { targetKl, initialBeta, capacity, speed, penaltySpread, iterations } = training;
  const random = seededRandom('target-kl', training.seed);
  const schedule = {
    peak: 1,
    final: training.learningRateDecays ? 0 : 1,
    warmupSteps: Math.floor(iterations / 10),
    totalSteps: iterations,
  };
  let state = initialTargetKlState(targetKl, initialBeta, iterations);
  let tilt = 0;
  let noise = 0;
  return Array.from({ length: iterations }, (_, iteration) => {
    const rate = linearSchedule(iteration, schedule);
    const kl = tilt ** 2 / 2 + noise;
    state = updateTargetKl(state, kl * (1 + measurementNoise * random.normal()), rate);
    const step = (rate * speed) / Math.sqrt(1 + penaltySpread * state.beta ** 2 * 2 * kl);
    noise += rate ** 2 * training.updateNoise - 2 * step * training.noiseDecay * state.beta * noise;
    tilt += step * (capacity - state.beta * tilt);
    tilt *= state.displacementScale;
    noise *= state.displacementScale ** 2;
    return tilt ** 2 / 2 + noise;
  });
}

const seeds = [1, 2, 3, 4, 5];
const last = (values: readonly number[]) => values.at(-1)!;

describe('updateTargetKl', () => {
  it.each([
    ['as fitted', {}, 0.1],
    ['of less capacity', { capacity: 0.8 }, 0.1],
    ['of more capacity', { capacity: 1.2 }, 0.1],
    ['with less noise', { updateNoise: 0.4 }, 0.1],
    ['slower', { speed: 0.7 }, 0.15],
    ['faster', { speed: 1.5 }, 0.1],
    ['of twice the iterations', { iterations: 2 }, 0.1],
    ['of four times the iterations', { iterations: 4 }, 0.1],
  ])('lands near the target: training %s', (_, factors: Partial<Record<keyof Plant, number>>, tolerance) => {
    for (const fitted of plants) {
      for (const seed of seeds) {
        const scaled = Object.entries(factors).map(([name, factor]) => [
          name,
          factor * Number(fitted[name as keyof Plant]),
        ]);
        const each: Plant = { ...fitted, ...(Object.fromEntries(scaled) as Partial<Plant>), seed };
        expect(Math.abs(last(simulate(each)) / each.targetKl - 1), JSON.stringify(each)).toBeLessThan(tolerance);
      }
    }
  });

  it('stays there when training goes on at a constant learning rate, low enough for its noise', () => {
    for (const fitted of plants) {
      for (const seed of seeds) {
        const calm = { ...fitted, speed: fitted.speed / 2, updateNoise: fitted.updateNoise / 4 };
        const kls = simulate({ ...calm, learningRateDecays: false, iterations: 200, seed });
        for (const kl of kls.slice(80)) expect(Math.abs(kl / fitted.targetKl - 1)).toBeLessThan(0.1);
      }
    }
  });

  it('does not overshoot by more than a third on the way', () => {
    for (const fitted of plants) {
      for (const seed of seeds) {
        expect(Math.max(...simulate({ ...fitted, seed }))).toBeLessThan(fitted.targetKl * 1.33);
      }
    }
  });

  it('leaves β near that of the optimum while the policy sets out', () => {
    let state = initialTargetKlState(0.5, 1, 100);
    for (let i = 0; i < 5; i++) state = updateTargetKl(state, 0.01 * i, 1);
    expect(state.beta).toBeGreaterThan(0.75);
  });

  it('moves β the more, the lower the learning rate, up to a bound', () => {
    const settled = { ...initialTargetKlState(0.5, 1, 100), iteration: 60, smoothedKl: 0.48 };
    const change = (relativeRate: number) => Math.abs(Math.log(updateTargetKl(settled, 0.48, relativeRate).beta));
    expect(change(0.5) / change(1)).toBeCloseTo(2, 10);
    expect(change(0)).toBeCloseTo(change(1 / 4), 10);
  });

  it('scales the displacement in the last tenth of training, to the target but by no more than a quarter', () => {
    const before = { ...initialTargetKlState(0.5, 1, 40), iteration: 35, smoothedKl: 0.45 };
    const scales = (kl: number) => {
      let state = updateTargetKl(before, kl, 0.1);
      return Array.from({ length: 2 }, () => {
        const scale = state.displacementScale;
        state = updateTargetKl(state, kl * scale ** 2, 0.1);
        return scale;
      });
    };
    expect(scales(0.45)[0]).toBe(1);
    expect(scales(0.45)[1]).toBeCloseTo(Math.sqrt(0.5 / 0.45), 10);
    expect(scales(0.01)[1]).toBeCloseTo(1.25, 10);
    expect(scales(0.01)[0]).toBe(1);
    expect(scales(9)[1]).toBeCloseTo(0.8, 10);
  });

  it('bounds its steps and its distance, and comes back at once when the KL does', () => {
    let state = initialTargetKlState(0.5, 1, 10);
    for (let i = 0; i < 200; i++) {
      const next = updateTargetKl(state, 0, 1);
      expect(Math.abs(Math.log(next.beta / state.beta))).toBeLessThanOrEqual(0.25 + 1e-12);
      state = next;
    }
    expect(state.beta).toBeCloseTo(1 / 20, 10);
    for (let i = 0; i < 4; i++) state = updateTargetKl(state, 3, 1);
    expect(state.beta).toBeGreaterThan(1 / 20 + 0.02);
  });

  it('is plain data: a state that went through JSON goes on as before', () => {
    const state = updateTargetKl(updateTargetKl(initialTargetKlState(0.5, 0.7, 20), 0.1, 1), 0.2, 1);
    const revived = JSON.parse(JSON.stringify(state)) as typeof state;
    expect(updateTargetKl(revived, 0.3, 0.9)).toEqual(updateTargetKl(state, 0.3, 0.9));
  });

  it('refuses targets, betas, measurements and learning rates that are no numbers', () => {
    expect(() => initialTargetKlState(0, 1, 1)).toThrow(/positive/);
    expect(() => initialTargetKlState(1, Number.NaN, 1)).toThrow(/positive/);
    expect(() => updateTargetKl(initialTargetKlState(1, 1, 1), Number.NaN, 1)).toThrow(/finite/);
    expect(() => updateTargetKl(initialTargetKlState(1, 1, 1), 1, Number.NaN)).toThrow(/finite/);
  });
});
