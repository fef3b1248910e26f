import { describe, expect, it } from 'vitest';
import { experimentId, policyRuns, runIdOf, runSeed, stepNames } from './experiment-steps.js';
import { tinyExperiment } from './tiny-experiment.fixture.js';

const experiment = tinyExperiment();

describe('the runs of an experiment', () => {
  it('are every transformation at every strength with every seed, named after them', () => {
    const { runs } = experiment;
    const kls = {
      ...experiment,
      runs: { ...runs, methods: ['ppo/identity', 'ppo/exp:-10'], targetKls: [0.1, 2], seeds: [1, 2] },
    };
    expect(policyRuns(kls).map(({ name }) => name)).toEqual([
      'runs/ppo-identity-kl-0.1-seed-1',
      'runs/ppo-identity-kl-0.1-seed-2',
      'runs/ppo-identity-kl-2-seed-1',
      'runs/ppo-identity-kl-2-seed-2',
      'runs/ppo-exp--10-kl-0.1-seed-1',
      'runs/ppo-exp--10-kl-0.1-seed-2',
      'runs/ppo-exp--10-kl-2-seed-1',
      'runs/ppo-exp--10-kl-2-seed-2',
    ]);
    const { methods, seeds } = runs;
    expect(policyRuns({ ...experiment, runs: { methods, seeds, betas: [0.05] } })).toEqual([
      { name: 'runs/ppo-identity-beta-0.05-seed-1', method: 'ppo/identity', targetKl: undefined, beta: 0.05, seed: 1 },
    ]);
  });

  it('have seeds of their own, which follow from the seed of the experiment', () => {
    const runs = policyRuns({ ...experiment, runs: { ...experiment.runs, targetKls: [0.1, 0.2], seeds: [1, 2, 3] } });
    const seeds = runs.map((run) => runSeed(experiment, run));
    expect(new Set(seeds).size).toBe(6);
    for (const seed of seeds) expect(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32).toBe(true);
    expect(runs.map((run) => runSeed({ ...experiment, seed: 2 }, run))).not.toEqual(seeds);
    expect(runSeed(experiment, undefined)).toBe(experiment.seed);
  });

  it('have ids that tell experiments of one name apart by what their results depend on', () => {
    expect(experimentId(experiment)).toMatch(/^tiny-[0-9a-f]{12}$/);
    expect(experimentId({ ...experiment, seed: 2 })).not.toBe(experimentId(experiment));
    const { machine } = experiment;
    expect(experimentId({ ...experiment, machine: { ...machine, processes: 7 } })).toBe(experimentId(experiment));
    expect(runIdOf(experiment, stepNames.heldOutReferences)).toBe(`${experimentId(experiment)}/references/held-out`);
  });
});
