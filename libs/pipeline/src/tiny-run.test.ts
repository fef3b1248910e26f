import '@tensorflow/tfjs-node';
import { memory } from '@tensorflow/tfjs-core';
import {
  Purpose,
  type CalibrationState,
  type EvaluationResult,
  type PolicyVersion,
  type SampledRollout,
} from '@infalign/contracts';
import { seededRandom } from '@infalign/core';
import { afterEach, describe, expect, it } from 'vitest';
import { runIdOf, stepNames } from './experiment-steps.js';
import {
  policyStep,
  tinyExperiment,
  tinyWorkplace,
  type TinySettings,
  type TinyWorkplace,
} from './tiny-experiment.fixture.js';
import { carryOutRuns, type LeftBehind } from './tiny-run.fixture.js';

const opened: TinyWorkplace[] = [];
afterEach(async () => {
  await Promise.all(opened.splice(0).map((workplace) => workplace.remove()));
});

/** Carries out the runs of the tiny experiment, stopped after so many transactions each time; begun anew each time. */
async function carryOut(
  settings: TinySettings,
  pauses: Iterable<number> = [],
): Promise<LeftBehind & { readonly attempts: number }> {
  const workplace = tinyWorkplace();
  opened.push(workplace);
  const experiment = tinyExperiment(settings);
  let attempts = 1;
  for (const transactions of pauses) {
    const stream = await workplace.open(settings.partitions);
    const left = await carryOutRuns(stream, workplace.store, experiment, transactions);
    if (left.finished) return { ...left, attempts };
    attempts++;
  }
  const left = await carryOutRuns(await workplace.open(settings.partitions), workplace.store, experiment);
  return { ...left, attempts };
}

function* always(transactions: number): Generator<number> {
  for (;;) yield transactions;
}

const undisturbedRuns = new Map<string, Promise<LeftBehind>>();

function expected(settings: TinySettings): Promise<LeftBehind> {
  const key = JSON.stringify(settings);
  let left = undisturbedRuns.get(key);
  if (!left) undisturbedRuns.set(key, (left = carryOut(settings)));
  return left;
}

describe.each<TinySettings>([
  { partitions: 1, maxStaleness: 0 },
  { partitions: 3, maxStaleness: 1 },
])('the runs of an experiment over one stream (%o)', (settings) => {
  it('leave references, a trained policy and its measurement, and no dead letters', async () => {
    const { records, history } = await expected(settings);
    const experiment = tinyExperiment(settings);
    const [training, heldOut, policy] = [stepNames.trainingReferences, stepNames.heldOutReferences, policyStep].map(
      (step) => runIdOf(experiment, step),
    );
    for (const [topic, values] of Object.entries(records)) {
      if (topic.endsWith('.dead-letter')) expect(values).toEqual([]);
    }
    const rollouts = records['rollout.sampled'] as SampledRollout[];
    const countOf = (runId: string, purpose: Purpose) =>
      rollouts.filter((rollout) => rollout.runId === runId && rollout.purpose === purpose).length;
    expect(countOf(training!, Purpose.PURPOSE_REFERENCE)).toBe(4 * 4);
    expect(countOf(heldOut!, Purpose.PURPOSE_REFERENCE)).toBe(2 * 4 + 3 * 4);
    expect(countOf(heldOut!, Purpose.PURPOSE_EVALUATION)).toBe(2 * 5);
    expect(countOf(policy!, Purpose.PURPOSE_TRAINING)).toBe(3 * 3 * 4);
    expect(countOf(policy!, Purpose.PURPOSE_EVALUATION)).toBe(3 * 5);
    expect(new Set(rollouts.map(({ rolloutId }) => rolloutId)).size).toBe(rollouts.length);
    expect(rollouts).toHaveLength(16 + 20 + 10 + 36 + 15);
    expect(records['rollout.scored']).toHaveLength(rollouts.length);
    expect(records['rollout.calibrated']).toHaveLength(36);
    const states = (records['calibration.state'] as [string, CalibrationState][]).map(([, state]) => state);
    expect(states.filter(({ runId }) => runId === training).map(({ references }) => references.length)).toEqual([
      4, 4, 4, 4,
    ]);
    const versions = (records['policy.versions'] as PolicyVersion[]).filter(({ runId }) => runId === policy);
    expect(versions.map(({ version, final }) => [version, final])).toEqual([
      [0, false],
      [1, false],
      [2, false],
      [3, true],
    ]);
    const results = records['evaluation.results'] as EvaluationResult[];
    expect(results.map(({ promptId }) => promptId).sort()).toEqual([0, 1, 2].map((index) => `evaluation-${index}`));
    for (const { rewards, judgeRewards, policyVersion } of results) {
      expect([rewards.length, judgeRewards.length, policyVersion]).toEqual([5, 5, 3]);
    }
    expect(history.map(({ iteration, dropped }) => [iteration, dropped])).toEqual([1, 2, 3].map((one) => [one, 0]));
    expect(history.map(({ staleness }) => staleness)).toEqual(settings.maxStaleness ? [0, 1, 1] : [0, 0, 0]);
  });

  it('leave the same bytes when they are carried out again', async () => {
    expect(await carryOut(settings)).toEqual(await expected(settings));
  });

  it('leave the same bytes when everything is closed and opened again after every transaction', async () => {
    const { attempts, ...left } = await carryOut(settings, always(1));
    expect(left).toEqual(withoutAttempts(await expected(settings)));
    expect(attempts).toBeGreaterThan(30);
  });

  it('leave the same bytes when they are stopped anywhere and resumed, and give the memory of all models back', async () => {
    const undisturbed = await expected(settings);
    const tensors = memory().numTensors;
    const random = seededRandom('pauses');
    const pauses = Array.from({ length: 100 }, () => 1 + random.integer(9));
    const { attempts, ...left } = await carryOut(settings, pauses);
    expect(left).toEqual(withoutAttempts(undisturbed));
    expect(attempts).toBeGreaterThan(3);
    expect(memory().numTensors).toBe(tensors);
  });
});

function withoutAttempts({ records, history, finished }: LeftBehind): LeftBehind {
  return { records, history, finished };
}
