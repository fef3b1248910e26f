import { parseTransformation, transformEstimate } from '@infalign/core';
import { describe, expect, it } from 'vitest';
import { calibratedRollouts, fittedStates } from './batch.js';
import { references, training } from './scored-rollouts.fixture.js';

const calibration = { transformation: parseTransformation('identity'), corrected: false };
const keepAll = { window: undefined, driftFalseAlarmRate: undefined };

describe('fitting and calibrating at once', () => {
  it('makes a state of each prompt from references, and calibrates rollouts of any purpose by them', () => {
    const states = fittedStates([...references('a', [2, 1]), ...references('b', [5])], [], keepAll);
    expect(states).toEqual([
      {
        runId: 'run',
        promptId: 'a',
        version: 1,
        rewardModelVersion: 'v1',
        references: [1, 2],
        window: [],
        seen: 2,
        baseline: [],
      },
      {
        runId: 'run',
        promptId: 'b',
        version: 1,
        rewardModelVersion: 'v1',
        references: [5],
        window: [],
        seen: 1,
        baseline: [],
      },
    ]);
    const rollouts = [training('b', 5), training('a', 1.5), ...references('a', [9])];
    const calibrated = calibratedRollouts(rollouts, states, calibration);
    expect(calibrated.map(({ scored, calibratedReward }) => [scored, calibratedReward])).toEqual([
      [rollouts[0], 0.5],
      [rollouts[1], 0.5],
      [rollouts[2], 1],
    ]);
  });

  it('corrects for few references by the references that tie with the reward', () => {
    const transformation = parseTransformation('exp:10');
    const states = fittedStates([...references('a', [1, ...Array<number>(38).fill(2), 3])], [], keepAll);
    const [tied, apart] = calibratedRollouts([training('a', 2), training('a', 2.5)], states, {
      transformation,
      corrected: true,
    });
    const estimate = (calibratedReward: number, ties: number): number =>
      transformEstimate(transformation, calibratedReward, 40, { normalised: true, corrected: true, ties });
    expect(tied!.transformedReward).toBe(estimate(0.5, 38));
    expect(tied!.transformedReward).not.toBeCloseTo(estimate(0.5, 0), 2);
    expect(apart!.transformedReward).toBe(estimate(39 / 40, 0));
  });

  it('goes on from states that are known, within their window', () => {
    const settings = { window: 3, driftFalseAlarmRate: undefined };
    const known = fittedStates(references('a', [9, 1]), [], settings);
    const [state] = fittedStates(references('a', [7, 5]), known, settings);
    expect(state).toMatchObject({ version: 2, window: [1, 7, 5], references: [1, 5, 7], seen: 4 });
  });

  it('refuses a prompt without references, and rewards of another reward model, naming both', () => {
    const states = fittedStates(references('a', [1]), [], keepAll);
    expect(() => calibratedRollouts([training('lonely', 1)], states, calibration)).toThrow(
      /lonely has no reference rewards/,
    );
    expect(() => calibratedRollouts([training('a', 1, { modelVersion: 'v2' })], states, calibration)).toThrow(
      /a has reference rewards of .*v1.*v2/,
    );
  });

  it('refuses to make distributions of anything but reference rollouts of one run and reward model', () => {
    expect(() => fittedStates([training('a', 1)], [], keepAll)).toThrow(/is no reference rollout/);
    const [v1, v2] = ['v1', 'v2'].map((modelVersion) => references('a', [1], { modelVersion }));
    expect(() => fittedStates([...v1!, ...v2!], [], keepAll)).toThrow(/never mixed/);
    const other = references('a', [1], { runId: 'other' });
    expect(() => fittedStates([...v1!, ...other], [], keepAll)).toThrow(/never mixed/);
  });
});
