import { Purpose } from '@infalign/contracts';
import { afterEach, describe, expect, it } from 'vitest';
import type { CalibrationRun } from './calibration-run.js';
import type { MeasuredRollouts } from './pipeline.js';
import { calibrationRun, references, scoredRollout, training } from './scored-rollouts.fixture.js';
import { calibratedStream, type CalibratedStream } from './stream.fixture.js';

const opened: CalibratedStream[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((stream) => stream.remove()));
});

function open(runs: Readonly<Record<string, CalibrationRun>>) {
  const measured: MeasuredRollouts[] = [];
  const stream = calibratedStream(runs, 1, (each) => measured.push(each));
  opened.push(stream);
  return { stream, measured };
}

const evaluation = (promptId: string, reward: number, runId = 'run') =>
  scoredRollout(Purpose.PURPOSE_EVALUATION, promptId, reward, { runId, batchId: `of-${runId}`, batchRollouts: 2 });

describe('rollouts that nothing is learned from', () => {
  it('are measured where somebody watches: references against those before them, evaluation rollouts against all', async () => {
    const { stream, measured } = open({ run: calibrationRun() });
    await stream.calibrate([
      ...references('a', [0, 1, 2, 3]),
      ...references('a', [1.5, 9]),
      evaluation('a', 2.5),
      evaluation('a', -1),
      training('a', 1),
    ]);
    expect(measured).toEqual([
      { runId: 'run', policyVersion: 0, calibratedRewards: [0.5, 1] },
      // Of 0, 1, 1.5, 2, 3 and 9, four are below 2.5.
      { runId: 'run', policyVersion: 0, calibratedRewards: [4 / 6, 0] },
    ]);
  });

  it('of a policy are measured against the held-out references, which are of another run', async () => {
    const runs = { run: { ...calibrationRun(), heldOutRunId: 'held-out' }, 'held-out': calibrationRun() };
    const { stream, measured } = open(runs);
    await stream.calibrate([
      ...references('a', [0, 1], { runId: 'held-out' }),
      ...references('a', [100, 101]),
      evaluation('a', 0.5),
      evaluation('b', 0.5),
    ]);
    expect(measured).toEqual([{ runId: 'run', policyVersion: 0, calibratedRewards: [0.5] }]);
  });

  it('change nothing of what comes of the others, are no dead letters, and are compared with their own reward model alone', async () => {
    const rollouts = [
      ...references('a', [0, 1, 2, 3]),
      evaluation('a', 2.5, 'unknown'),
      evaluation('a', 2.5, 'unknown'),
      scoredRollout(Purpose.PURPOSE_EVALUATION, 'a', 1, { modelVersion: 'v2' }),
      training('a', 1),
    ];
    const { stream, measured } = open({ run: calibrationRun() });
    const watched = await stream.calibrate(rollouts);
    expect(measured).toEqual([]);
    const plain = calibratedStream({ run: calibrationRun() });
    opened.push(plain);
    expect(watched).toEqual(await plain.calibrate(rollouts));
  });
});
