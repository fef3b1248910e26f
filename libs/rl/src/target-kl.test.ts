import { seededRandom } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { initialTargetKlState, updateTargetKl } from './target-kl.js';

interface Plant {
  readonly targetKl: number;
  /** KL at the optimum of β = 1: a policy as flexible as all distributions has 0.5, a lesser one less. */
  readonly capacity: number;
  /** Iterations in which it covers 1 − 1/e of the way to the optimum. */
  readonly timeConstant: number;
  /** The most its tilt √(2·KL) moves in an iteration. */
  readonly maxSpeed: number;
  readonly iterations: number;
  readonly learningRateDecays: boolean;
  readonly seed: number;
}

const plant: Plant = {
  targetKl: 0.5,
  capacity: 0.3,
  timeConstant: 12,
  maxSpeed: 0.08,
  iterations: 60,
  learningRateDecays: true,
  seed: 1,
};

/** A crude training run: the policy relaxes towards KL*(β) = capacity/β², the measurement is late and noisy. */
function simulate({
  targetKl,
  capacity,
  timeConstant,
  maxSpeed,
  iterations,
  learningRateDecays,
  seed,
}: Plant): number[] {
  const random = seededRandom('target-kl', seed);
  let state = initialTargetKlState(targetKl, Math.sqrt(0.5 / targetKl), Math.ceil(0.6 * Math.min(60, iterations)));
  let tilt = 0;
  let measured = 0;
  return Array.from({ length: iterations }, (_, iteration) => {
    state = updateTargetKl(state, measured);
    measured = (tilt ** 2 / 2) * (1 + 0.06 * random.normal());
    const pull = (Math.sqrt(2 * capacity) / state.beta - tilt) / timeConstant;
    const speed = Math.max(-maxSpeed, Math.min(maxSpeed, pull));
    tilt += speed * (learningRateDecays ? 1 - iteration / iterations : 1);
    return tilt ** 2 / 2;
  });
}

const seeds = [1, 2, 3, 4, 5];
const last = (values: readonly number[]) => values.at(-1)!;

describe('updateTargetKl', () => {
  it('lands within a tenth of the target, for policies of unlike capacity, speed and target', () => {
    const plants: Partial<Plant>[] = [
      {},
      { capacity: 0.5 },
      { capacity: 0.15 },
      { timeConstant: 6, maxSpeed: 0.2 },
      { iterations: 90 },
      { iterations: 30, timeConstant: 6, maxSpeed: 0.15 },
      { targetKl: 0.1 },
      { targetKl: 1.5, maxSpeed: 0.15 },
    ];
    for (const change of plants) {
      for (const seed of seeds) {
        const each = { ...plant, ...change, seed };
        expect(Math.abs(last(simulate(each)) / each.targetKl - 1), JSON.stringify(each)).toBeLessThan(0.1);
      }
    }
  });

  it('stays there when training goes on at a constant learning rate', () => {
    for (const seed of seeds) {
      const kls = simulate({ ...plant, learningRateDecays: false, iterations: 150, seed });
      for (const kl of kls.slice(60)) expect(Math.abs(kl / plant.targetKl - 1)).toBeLessThan(0.2);
    }
  });

  it('does not overshoot by more than a third on the way', () => {
    for (const seed of seeds) {
      expect(Math.max(...simulate({ ...plant, learningRateDecays: false, seed }))).toBeLessThan(0.5 * 1.33);
    }
  });

  it('bounds its steps and its distance, and comes back at once when the KL does', () => {
    let state = initialTargetKlState(0.5, 1, 1);
    for (let i = 0; i < 200; i++) {
      const next = updateTargetKl(state, 0);
      // The first step goes where the start of the ramp asks for.
      if (i > 0) expect(Math.abs(Math.log(next.beta / state.beta))).toBeLessThanOrEqual(0.25 + 1e-12);
      state = next;
    }
    expect(state.beta).toBeCloseTo(1 / 20, 10);
    for (let i = 0; i < 4; i++) state = updateTargetKl(state, 3);
    expect(state.beta).toBeGreaterThan(1 / 20 + 0.02);
  });

  it('is plain data: a state that went through JSON goes on as before', () => {
    const state = updateTargetKl(updateTargetKl(initialTargetKlState(0.5, 0.7, 20), 0.1), 0.2);
    const revived = JSON.parse(JSON.stringify(state)) as typeof state;
    expect(updateTargetKl(revived, 0.3)).toEqual(updateTargetKl(state, 0.3));
  });

  it('refuses targets, betas and measurements that are no numbers', () => {
    expect(() => initialTargetKlState(0, 1, 1)).toThrow(/positive/);
    expect(() => initialTargetKlState(1, Number.NaN, 1)).toThrow(/positive/);
    expect(() => updateTargetKl(initialTargetKlState(1, 1, 1), Number.NaN)).toThrow(/finite/);
  });
});
