import { CalibrationSource, Purpose, type CalibratedRollout } from '@infalign/contracts';
import { parseTransformation } from '@infalign/core';
import { outgoing, topics } from '@infalign/rollout-stream';
import { afterEach, describe, expect, it } from 'vitest';
import type { CalibrationRun } from './calibration-run.js';
import { calibrationRun, references, scoredRollout, training } from './scored-rollouts.fixture.js';
import { calibratedStream, type CalibratedStream } from './stream.fixture.js';

const opened: CalibratedStream[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((stream) => stream.remove()));
});

function open(runs: Readonly<Record<string, CalibrationRun>> = { run: calibrationRun() }, partitions = 1) {
  const stream = calibratedStream(runs, partitions);
  opened.push(stream);
  return stream;
}

const { CALIBRATION_SOURCE_PROMPT, CALIBRATION_SOURCE_POOLED } = CalibrationSource;
const rewards = (calibrated: readonly CalibratedRollout[]) => calibrated.map((one) => one.calibratedReward);
const ids = (calibrated: readonly CalibratedRollout[]) => calibrated.map((one) => one.scored!.rollout!.rolloutId);

describe('the calibration stage', () => {
  it('calibrates each training rollout against its own prompt’s references, ties counted half', async () => {
    const { calibrated } = await open().calibrate([
      ...references('a', [0, 1, 2, 3]),
      ...references('b', [10, 20]),
      training('a', 2.5),
      training('a', 1),
      training('b', 2.5),
    ]);
    expect(rewards(calibrated)).toEqual([0.75, 0.375, 0]);
    expect(calibrated.map((one) => one.references)).toEqual([4, 4, 2]);
    expect(calibrated.every((one) => one.source === CALIBRATION_SOURCE_PROMPT)).toBe(true);
  });

  it('leaves the raw reward as it is where that is learned from, and tells the calibrated one', async () => {
    const run = calibrationRun({ transform: 'raw' });
    const { calibrated } = await open({ run }).calibrate([...references('a', [-7, 2]), training('a', 1.5)]);
    expect(calibrated[0]).toMatchObject({ calibratedReward: 0.5, transformedReward: 1.5, transformation: 'raw' });
  });

  it('calibrates with some of the references where that is asked for, the same again after a restart', async () => {
    const run = calibrationRun({ subset: { references: 5, seed: 7 } });
    const many = references(
      'a',
      Array.from({ length: 40 }, (_, index) => index),
    );
    const asked = Array.from({ length: 41 }, (_, reward) => training('a', reward - 0.5));
    const stream = open({ run });
    const { calibrated } = await stream.calibrate([...many, ...asked]);
    expect(calibrated.every(({ references }) => references === 5)).toBe(true);
    // Five steps of a fifth, one for each of those that were chosen.
    const steps = rewards(calibrated).map((value, index, all) => value - (all[index - 1] ?? 0));
    expect(steps.filter((step) => Math.abs(step - 0.2) < 1e-12)).toHaveLength(5);
    expect(steps.filter((step) => step === 0)).toHaveLength(36);
    await stream.restart();
    const [again] = (await stream.calibrate([training('a', 19.5)])).calibrated.slice(-1);
    expect(again!.calibratedReward).toBe(calibrated[20]!.calibratedReward);
    const other = await open({ run: calibrationRun({ subset: { references: 5, seed: 8 } }) }).calibrate([
      ...many,
      ...asked,
    ]);
    expect(rewards(other.calibrated)).not.toEqual(rewards(calibrated));
  });

  it('transforms on the scale of mean 0 and unit variance under the reference policy', async () => {
    const rollouts = [...references('a', [0, 1, 2, 3, 4, 5, 6, 7]), training('a', 5.5)];
    const [one] = (await open().calibrate(rollouts)).calibrated;
    // Ĉ = 6/8; the uniform distribution has mean ½ and variance 1/12.
    expect(one!.transformedReward).toBeCloseTo((0.75 - 0.5) * Math.sqrt(12), 12);
    expect(one!.transformation).toBe('identity');
  });

  it('calibrates the runs that it serves as each of them asks, against the references of the run that each names', async () => {
    const runs = {
      base: { ...calibrationRun(), training: undefined },
      one: calibrationRun({ referenceRunId: 'base', transform: 'exp:10' }),
      two: calibrationRun({ referenceRunId: 'base', transform: 'exp:-10' }),
    };
    const { calibrated } = await open(runs).calibrate([
      ...references('a', [0, 1], { runId: 'base' }),
      ...references('a', [7, 8, 9], { runId: 'one' }),
      training('a', 2, { runId: 'one' }),
      training('a', 2, { runId: 'two' }),
    ]);
    expect(rewards(calibrated)).toEqual([1, 1]);
    expect(calibrated.map((one) => one.transformation)).toEqual(['exp:10', 'exp:-10']);
  });

  it('lets evaluation rollouts pass by', async () => {
    const evaluation = scoredRollout(Purpose.PURPOSE_EVALUATION, 'a', 1);
    const { calibrated, held } = await open().calibrate([...references('a', [1]), evaluation]);
    expect([...calibrated, ...held]).toEqual([]);
  });

  it('makes one new version of each prompt in a batch of references, and none before the batch is complete', async () => {
    const stream = open();
    const of = (promptId: string, reward: number) => references(promptId, [reward], { batchId: 'x', batchRollouts: 3 });
    expect((await stream.calibrate([...of('a', 3), ...of('b', 7)])).states.size).toBe(0);
    const { states } = await stream.calibrate([...of('a', 1), ...references('a', [5])]);
    expect(states.get('run/a')).toMatchObject({ version: 2, references: [1, 3, 5], seen: 3, window: [] });
    expect(states.get('run/b')).toMatchObject({ version: 1, references: [7] });
  });

  it('uses what there is of a batch of references that another one cut short', async () => {
    const stream = open();
    const short = references('a', [3, 4], { batchRollouts: 3 });
    expect((await stream.calibrate(short)).states.size).toBe(0);
    const { states } = await stream.calibrate([training('a', 3.5)]);
    expect(states.get('run/a')).toMatchObject({ version: 1, references: [3, 4] });
    expect(rewards((await stream.outcome()).calibrated)).toEqual([0.5]);
  });

  it('calibrates training rollouts as they come: they do not wait for the rest of their batch', async () => {
    const { calibrated } = await open().calibrate([...references('a', [1]), training('a', 2, { batchRollouts: 2 })]);
    expect(rewards(calibrated)).toEqual([1]);
  });

  it('passes rollouts of runs that it cannot calibrate for to the dead letters, and goes on', async () => {
    const runs = { run: calibrationRun(), base: { ...calibrationRun(), training: undefined } };
    const { calibrated, deadLetters } = await open(runs).calibrate([
      ...references('a', [1], { runId: 'nobody' }),
      training('a', 1, { runId: 'base' }),
      ...references('a', [1]),
      training('a', 2),
    ]);
    expect(rewards(calibrated)).toEqual([1]);
    expect(deadLetters.map(({ reason, offset }) => [offset, reason])).toEqual([
      [0, 'There is no run nobody.'],
      [1, 'run base does not calibrate training rollouts'],
    ]);
  });
});

describe('a live window', () => {
  const run = calibrationRun({ window: 4 });

  it('keeps the latest references in the order of their arrival, and calibrates by them', async () => {
    const stream = open({ run });
    const { states, calibrated } = await stream.calibrate([
      ...references('a', [9, 8, 7]),
      ...references('a', [3, 1]),
      training('a', 7.5),
      ...references('a', [2, 4, 6, 5, 0]),
      training('a', 5.5),
    ]);
    expect(states.get('run/a')).toMatchObject({ version: 3, window: [4, 6, 5, 0], references: [0, 4, 5, 6], seen: 10 });
    // Of 8, 7, 3, 1 it beats three; of 0, 4, 5, 6 likewise.
    expect(
      calibrated.map(({ calibratedReward, calibrationVersion }) => [calibratedReward, calibrationVersion]),
    ).toEqual([
      [0.75, 2],
      [0.75, 3],
    ]);
  });

  it('goes on after a restart from the tables alone: nothing of rollout.scored is read again', async () => {
    const runs = { run: calibrationRun({ window: 4, driftFalseAlarmRate: 0.05, minimumReferences: 2 }) };
    const before = [
      ...references('a', [1, 2, 3, 4, 5, 6]),
      ...references('b', [1]),
      ...references('c', [0], { modelVersion: 'v0' }),
      ...references('c', [1]),
      training('b', 0.5),
      training('c', 2),
    ];
    const after = [
      ...references('a', [11, 12]),
      ...references('b', [0, 7]),
      ...references('c', [5], { modelVersion: 'v0' }),
      training('a', 5),
      ...references('c', [3]),
    ];
    const whole = await open(runs).calibrate([...before, ...after]);
    const first = open(runs);
    await first.calibrate(before);
    // The second stream has the calibrator's topics of the first, and an empty rollout.scored.
    const second = open(runs);
    await copyTables(first, second);
    const rest = await second.calibrate(after);
    expect(whole.calibrated).toHaveLength(3);
    expect(rest.calibrated).toEqual(whole.calibrated);
    expect(rest.states).toEqual(whole.states);
    expect(rest.events).toEqual(whole.events);
    expect(rest.held).toEqual([]);
    expect(rest.deadLetters.map(({ reason }) => reason)).toEqual(whole.deadLetters.map(({ reason }) => reason));
  });
});

async function copyTables(from: CalibratedStream, to: CalibratedStream): Promise<void> {
  const { states, held, events, calibrated } = await from.outcome();
  await to.stream.append([
    ...[...states.values()].map((state) => outgoing(topics.calibrationState, state)),
    ...held.map((each) => outgoing(topics.calibrationHeld, each)),
    ...events.map((event) => outgoing(topics.calibrationEvents, event)),
    ...calibrated.map((each) => outgoing(topics.rolloutCalibrated, each)),
  ]);
}

describe('a new prompt', () => {
  const run = calibrationRun({ minimumReferences: 3 });

  it('has its rollouts held until it has enough references; they leave once, in the order in which they came', async () => {
    const stream = open({ run });
    const rollouts = [4, 1, 3, 2].map((reward) => training('a', reward));
    const waiting = await stream.calibrate([...references('a', [0, 1]), ...rollouts.slice(0, 3), training('b', 1)]);
    expect(waiting.calibrated).toEqual([]);
    expect(waiting.held).toHaveLength(4);
    await stream.restart();
    expect((await stream.calibrate([...references('b', [0, 1]), rollouts[3]!])).held).toHaveLength(5);
    await stream.restart();
    const { calibrated, held } = await stream.calibrate([...references('a', [2.5]), training('a', 9)]);
    expect(ids(calibrated).slice(0, 4)).toEqual(rollouts.map(({ rollout }) => rollout!.rolloutId));
    expect(rewards(calibrated)).toEqual([1, 0.5, 1, 2 / 3, 1]);
    expect(calibrated.every(({ references }) => references === 3)).toBe(true);
    expect(held.map(({ scored }) => scored!.rollout!.promptId)).toEqual(['b']);
    await stream.restart();
    const last = await stream.calibrate([...references('a', [7]), ...references('b', [7])]);
    expect(last.calibrated).toHaveLength(6);
    expect(last.held).toEqual([]);
  });

  it('is calibrated by the prompts of its partition together, each weighing the same, where the run pools', async () => {
    const pooling = calibrationRun({ minimumReferences: 3, newPrompts: 'pool' });
    const stream = open({ run: pooling });
    const waiting = await stream.calibrate([...references('a', [0, 2]), training('new', 1)]);
    expect(waiting.held).toHaveLength(1);
    const { calibrated, held } = await stream.calibrate([
      ...references('b', [0, 0, 0, 0, 9, 9]),
      training('new', 1),
      training('b', 1),
      ...references('new', [1]),
      training('new', 1),
      ...references('new', [2, 3]),
      training('new', 1),
    ]);
    expect(held).toEqual([]);
    // Against a it wins ½, against b ⅔, against its own single reference ½.
    const expected = [(1 / 2 + 2 / 3) / 2, (1 / 2 + 2 / 3) / 2, 2 / 3, (1 / 2 + 2 / 3 + 1 / 2) / 3, 1 / 6];
    rewards(calibrated).forEach((reward, index) => expect(reward).toBeCloseTo(expected[index]!, 14));
    expect(
      calibrated.map(({ source, references, calibrationVersion }) => [source, references, calibrationVersion]),
    ).toEqual([
      [CALIBRATION_SOURCE_POOLED, 8, 2],
      [CALIBRATION_SOURCE_POOLED, 8, 2],
      [CALIBRATION_SOURCE_PROMPT, 6, 1],
      [CALIBRATION_SOURCE_POOLED, 9, 3],
      [CALIBRATION_SOURCE_PROMPT, 3, 2],
    ]);
  });

  it('is pooled to the same bits after a restart, whichever prompt changed last', async () => {
    const pooling = calibrationRun({ minimumReferences: 3, newPrompts: 'pool' });
    // Sizes for which the order of the sum decides the last bit.
    const pool = [3, 7, 10, 11, 13, 17, 19, 23].map((size, prompt) =>
      references(`p${prompt}`, [1, ...Array.from({ length: size - 1 }, () => 9)]),
    );
    const change = references('p0', [1, 9, 9, 9, 9, 9]);
    const asked = [2, 2].map((reward) => training('new', reward));
    const expected = await open({ run: pooling }).calibrate([...pool.flat(), asked[0]!, ...change, asked[1]!]);
    const restarted = open({ run: pooling });
    await restarted.calibrate([...pool.flat(), asked[0]!, ...change]);
    await restarted.restart();
    expect((await restarted.calibrate([asked[1]!])).calibrated).toEqual(expected.calibrated);
  });

  it('is pooled without the correction for a finite number of its own references', async () => {
    const pooling = calibrationRun({ minimumReferences: 2, newPrompts: 'pool', transform: 'exp:10', corrected: true });
    const { calibrated } = await open({ run: pooling }).calibrate([
      ...references('a', [0, 2]),
      training('a', 1),
      training('new', 1),
    ]);
    const { apply, mean, standardDeviation } = parseTransformation('exp:10');
    expect(rewards(calibrated)).toEqual([0.5, 0.5]);
    expect(calibrated[1]!.transformedReward).toBeCloseTo((apply(0.5) - mean) / standardDeviation, 12);
    // The estimate without bias is lower.
    expect(calibrated[0]!.transformedReward).toBeLessThan(calibrated[1]!.transformedReward - 0.01);
  });

  it('has a rollout that comes twice calibrated once, in the place of the second, with and without a restart', async () => {
    const [twice, other] = [training('a', 1), training('a', 2)];
    const arriving = [twice, other, twice];
    const expected = [other, twice].map(({ rollout }) => rollout!.rolloutId);
    const enough = references('a', [0, 0, 0]);
    expect(ids((await open({ run }).calibrate([...arriving, ...enough])).calibrated)).toEqual(expected);
    const restarted = open({ run });
    expect((await restarted.calibrate(arriving)).held).toHaveLength(2);
    await restarted.restart();
    expect(ids((await restarted.calibrate(enough)).calibrated)).toEqual(expected);
  });

  it('is pooled with the prompts of its own partition, run and reward model only', async () => {
    const pooling = calibrationRun({ minimumReferences: 1, newPrompts: 'pool' });
    const stream = open({ run: pooling, other: pooling }, 2);
    // Of two partitions, a, c, e and g are in the first, b and d in the second.
    const { calibrated, held } = await stream.calibrate([
      ...references('c', [0]),
      ...references('b', [5]),
      ...references('e', [5], { modelVersion: 'v2' }),
      ...references('g', [5], { runId: 'other' }),
      training('a', 1),
      training('d', 1),
      training('d', 1, { modelVersion: 'v3' }),
    ]);
    expect(rewards(calibrated)).toEqual([1, 0]);
    expect(calibrated.map(({ references }) => references)).toEqual([1, 1]);
    expect(held).toHaveLength(1);
  });
});

describe('a change of the reward model', () => {
  const run = calibrationRun({ minimumReferences: 2, window: 3 });
  const v2 = { modelVersion: 'v2' };

  it('begins the distribution anew, says so, and never mixes rewards of the two', async () => {
    const stream = open({ run });
    const early = training('a', 15, v2);
    const { states, events, calibrated, held } = await stream.calibrate([
      ...references('a', [1, 2, 3]),
      early,
      training('a', 2.5),
      ...references('a', [10], v2),
    ]);
    expect(states.get('run/a')).toMatchObject({
      version: 2,
      rewardModelVersion: 'v2',
      references: [10],
      window: [10],
      seen: 1,
    });
    expect(events).toEqual([
      {
        runId: 'run',
        promptId: 'a',
        calibrationVersion: 2,
        rewardModelChange: { before: 'v1', since: 'v2', dropped: 3 },
      },
    ]);
    expect(rewards(calibrated)).toEqual([2 / 3]);
    expect(held).toHaveLength(1);
    const after = await stream.calibrate(references('a', [20], v2));
    expect(after.calibrated[1]).toMatchObject({ scored: early, calibratedReward: 0.5, calibrationVersion: 3 });
  });

  it('drops what the model before has scored, with the reason, also after a restart: it does not come back', async () => {
    const stream = open({ run });
    const stale = training('a', 1);
    await stream.calibrate([...references('a', [1]), stale]);
    await stream.restart();
    await stream.calibrate([...references('a', [10, 20], v2)]);
    await stream.restart();
    const { states, held, calibrated, deadLetters } = await stream.calibrate([
      ...references('a', [1, 2, 3]),
      training('a', 2),
      training('a', 15, v2),
    ]);
    expect(states.get('run/a')).toMatchObject({ version: 2, rewardModelVersion: 'v2', references: [10, 20] });
    expect(held).toEqual([]);
    expect(rewards(calibrated)).toEqual([0.5]);
    expect(deadLetters.map(({ offset }) => offset)).toEqual([3, 4, 5, 6, 7]);
    expect(deadLetters[0]!.reason).toBe(
      `held until now: rollout ${stale.rollout!.rolloutId} was scored by reward model v1, whose references of prompt a those ` +
        'of v2 have replaced',
    );
    expect(topics.rolloutScored.codec.decode(deadLetters[0]!.payload)).toEqual(stale);
  });
});

describe('drift', () => {
  it('raises an event when a window differs from the baseline, which then takes its place', async () => {
    const run = calibrationRun({ window: 8, driftFalseAlarmRate: 0.001 });
    const stream = open({ run });
    const low = [1, 2, 3, 4, 5, 6, 7, 8];
    const high = low.map((reward) => reward + 100);
    const calm = await stream.calibrate([...references('a', low), ...references('a', low)]);
    expect(calm.events).toEqual([]);
    expect(calm.states.get('run/a')).toMatchObject({ baseline: low });
    await stream.restart();
    // The window is replaced in the middle of the second batch.
    const { events, states } = await stream.calibrate([
      ...references('a', high.slice(0, 5)),
      ...references('a', high),
      ...references('a', high.slice(0, 3)),
    ]);
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ runId: 'run', promptId: 'a', calibrationVersion: 4 });
    expect(events[0]!.drift).toMatchObject({ distance: 1, before: 8, since: 8 });
    // Of the C(16, 8) ways to split the values, two are so far apart.
    expect(events[0]!.drift!.pValue).toBeCloseTo(2 / 12870, 12);
    expect(states.get('run/a')).toMatchObject({ version: 5, baseline: [101, 101, 102, 102, 103, 103, 104, 105] });
  });
});
