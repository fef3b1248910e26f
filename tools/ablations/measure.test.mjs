import '@tensorflow/tfjs-node';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InputError } from '@infalign/core';
import { carryOutHere, experimentFolder, planSteps, runStep } from '@infalign/experiment';
import { formatExperiment, parseExperiment } from '@infalign/run-config';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ablationSection } from './ablations-page.mjs';
import { openFinishedExperiment } from './finished-experiment.mjs';
import { ablations, measureAblations } from './measure.mjs';

// Large enough that what is asked below holds by a margin: processors round differently, after a hundred steps their models are others,
// and a reward model that hardly tells responses apart, or a policy that ran away, makes every ablation a matter of luck.
const training = 'batch: 16, window: 24, warmup_steps: 5, learning_rate: 5e-3';
const model = 'hidden_size: 32, intermediate_size: 64, layers: 1, heads: 2, key_value_heads: 1, context: 32';
const experiment = parseExperiment(
  `
name: tiny
dataset: { kind: state-of-the-union }
prompts: { tokens: 8, train: 48, calibration: 24, evaluation: 2 }
tokenizer: { vocabulary: 400 }
model: { ${model}, training: { steps: 80, ${training} } }
reward_model: { pairs: 512, held_out_pairs: 16, batch: 8, epochs: 2, learning_rate: 3e-3 }
judge: { pairs: 24, held_out_pairs: 8, batch: 8, epochs: 2, learning_rate: 5e-3,
  model: { ${model}, training: { steps: 20, ${training} } } }
sampling: { max_response_tokens: 16 }
calibration: { references: 24 }
runs: { methods: [ppo/identity], target_kls: [0.5], seeds: [1, 2] }
procedures: [standard]
ppo: { iterations: 2, prompts_per_iteration: 8, rollouts_per_prompt: 8, learning_rate: 3e-3,
  advantages: critic, critic_learning_rate: 3e-3 }
evaluation: { samples: 8, bootstrap_resamples: 200 }
`,
  'tiny.yaml',
);
const settings = {
  prompts: 24,
  references: [4, 8, 32],
  manyRollouts: 64,
  calibratedRollouts: 24,
  timedPrompts: 1,
  training: { epochs: 6, batch: 16, learningRate: 2e-3 },
  drift: { prompts: 6, window: 8, round: 4, rounds: 4, manyRollouts: 64, temperature: 0.3 },
  efficiency: {
    prompts: 24,
    prefixes: { tokens: [2, 8, 14, 99], rootsPerPrompt: 4, continuations: 12 },
    ridge: 5,
    bins: 5,
    rollouts: 24,
    procedures: ['standard', 'bon:2'],
    bias: { rounds: 4, tolerance: 0.05 },
  },
  logitBias: {
    kls: [0.5],
    transformations: ['exp:-5'],
    ridge: 5,
    rollouts: 24,
    procedures: ['standard', 'won:2'],
    bias: { rounds: 5, tolerance: 0.02 },
  },
};

const place = mkdtempSync(join(tmpdir(), 'ablations-'));
const path = join(place, 'tiny');
afterAll(() => rmSync(place, { recursive: true }));

/** Every file of the experiment, when it was written, and what is in it. */
function contents() {
  const files = readdirSync(path, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  return files.map((file) => {
    const name = join(file.parentPath, file.name);
    return [name, statSync(name).mtimeMs, createHash('sha256').update(readFileSync(name)).digest('hex')];
  });
}

describe('the ablations of a tiny experiment', () => {
  let before;
  let results;
  beforeAll(async () => {
    const folder = experimentFolder(path);
    const progress = () => Promise.resolve();
    const context = { experiment, folder, cacheFolder: place, carryOut: carryOutHere, progress };
    for (const { name } of planSteps(experiment)) await runStep(name, context);
    writeFileSync(join(path, 'experiment.yaml'), formatExperiment(experiment));
    before = contents();
    const finished = openFinishedExperiment(path);
    ({ results } = await measureAblations(finished, settings, Object.keys(ablations), () => undefined));
    finished.dispose();
  }, 300_000);

  it('write nothing to its folder', () => {
    expect(contents()).toEqual(before);
  });

  it('find the error of calibration that is exact for K references', () => {
    const { rows } = results['calibration-error'];
    expect(rows.map(({ references }) => references)).toEqual(settings.references);
    for (const { references, error, exact_error } of rows.slice(0, 2)) {
      // Over seeds and processors its standard deviation is 5 % at most; half or twice the references would change it by 40 %.
      expect(Math.abs(error.mean / exact_error - 1), references).toBeLessThan(0.2);
      expect(error.high - error.low, references).toBeLessThan(0.4 * exact_error);
    }
    expect(rows[2].error.mean).toBeLessThan(0.7 * rows[1].error.mean);
  });

  it('find more bias without the correction than with it, where there are enough references for it', () => {
    const bias = (corrected) =>
      results['finite-k-bias'].rows.find(
        (row) => row.transformation === 'exp:-5' && row.references === 8 && row.corrected === corrected,
      );
    expect(bias(false).exact_bias).toBeCloseTo(-0.1608, 3);
    expect(bias(false).bias.mean).toBeLessThan(bias(true).bias.mean);
    expect(Math.abs(bias(false).bias.mean - bias(false).exact_bias)).toBeLessThan(0.15);
  });

  it('train a model that predicts better than knowing nothing', () => {
    const [trained, , half] = results['calibrated-reward-model'].rows;
    expect(half.estimate).toBe('half');
    expect(half.error.mean).toBeCloseTo(Math.sqrt(1 / 12), 1);
    expect(trained.error.mean).toBeLessThan(0.75 * half.error.mean);
  });

  it('follow a change of the reference policy, and hold what has no references', () => {
    const scenario = (name) => results.drift.scenarios.find((one) => one.scenario === name).rows;
    for (const { scenario: name, rows } of results.drift.scenarios) {
      expect(
        rows.map((row) => row.references_since),
        name,
      ).toEqual([0, 4, 8, 12, 16]);
    }
    const changed = scenario('temperature');
    expect(changed.at(-1).error.mean).toBeLessThan(changed[0].error.mean);
    for (const name of ['reward-model-announced', 'new-prompts-hold']) {
      const [first, ...others] = scenario(name);
      expect(first, name).toMatchObject({ calibrated: 0, error: null, kolmogorov_smirnov: null });
      for (const row of others) expect(row, name).toMatchObject({ calibrated: 1, pooled: 0 });
    }
    expect(scenario('new-prompts-pool').map(({ pooled }) => pooled)).toEqual([1, 0, 0, 0, 0]);
    expect(scenario('none')[0].error.mean).toBeLessThan(changed[0].error.mean);
  });

  it('find that more of the reward is determined the more of a response is known', () => {
    const { rows } = results.efficiency.prefixes;
    expect(rows.map(({ tokens }) => tokens)).toEqual([2, 8, 14]);
    const [first, middle, last] = rows.map(({ determined }) => determined.mean);
    expect(first).toBeLessThan(middle);
    expect(middle).toBeLessThan(last);
    expect(last).toBeGreaterThan(0.6);
    expect(last).toBeLessThan(1);
    for (const { explained_by_critic } of rows) expect(explained_by_critic.high).toBeGreaterThan(0);
  });

  it('find a logit bias with the KL of the runs that wins more often than the base policy', () => {
    const { additive, policies } = results.efficiency;
    expect(additive.explained.mean).toBeGreaterThan(0.1);
    expect(additive.explained.mean).toBeLessThan(1);
    const [one, mean, bias] = policies.rows;
    expect(policies.rows.map(({ policy }) => policy)).toEqual(['one seed', 'mean of the weights', 'logit bias']);
    expect(bias.kl.mean / one.kl.mean).toBeCloseTo(1, 0);
    expect(bias.procedures[0].win_rate.low).toBeGreaterThan(0.5);
    expect(mean.kl.mean).toBeLessThan(one.kl.mean);
    for (const { efficiency, win_rate } of bias.procedures) {
      expect(efficiency.mean).toBeLessThan(1);
      expect(Math.sign(efficiency.low)).toBe(Math.sign(win_rate.low - 0.5));
    }
    for (const { above_one_seed } of one.procedures) expect(above_one_seed).toEqual({ mean: 0, low: 0, high: 0 });
  });

  it('find what of the log-ratios is a sum over tokens, and that C has more in it than that', () => {
    const { rows } = results.efficiency.sums;
    expect(rows.map(({ of }) => of)).toEqual(['calibrated reward', 'one seed', 'mean of all seeds']);
    const [reward, one, mean] = rows;
    // The sum explains of C what its correlation says, and the rest goes with C as far as the sum does not.
    expect(reward.sum_share.mean).toBeCloseTo(reward.correlation_of_sum.mean ** 2, 8);
    expect(reward.correlation_of_rest.mean).toBeGreaterThan(0.3);
    for (const { sum_share } of [one, mean]) {
      expect(sum_share.low).toBeGreaterThan(0.1);
      expect(sum_share.high).toBeLessThan(1);
    }
    expect(mean.correlation_of_sum.mean).toBeGreaterThan(one.correlation_of_sum.mean - 0.05);
  });

  it('find that the mean of two seeds goes with the reward at least as one does, and endless seeds more so', () => {
    const { noise } = results.efficiency;
    expect(noise.correlation_of_mean.mean).toBeGreaterThan(noise.correlation_of_one.mean);
    expect(noise.correlation_of_endless_mean.mean).toBeGreaterThan(noise.correlation_of_mean.mean);
    expect(noise.rest_in_common.mean).toBeGreaterThan(-1);
    expect(noise.rest_in_common.mean).toBeLessThan(1);
  });

  it('compare transformations at one KL by biases that win more often than the base policy', () => {
    const { rows } = results['logit-bias'];
    expect(rows.map(({ transformation }) => transformation)).toEqual(['identity', 'exp:-5']);
    for (const { kl, procedures } of rows) {
      expect(Math.abs(kl / 0.5 - 1)).toBeLessThan(0.05);
      expect(procedures.map(({ procedure }) => procedure)).toEqual(['standard', 'won:2']);
      for (const { win_rate, efficiency } of procedures) {
        expect(win_rate.low).toBeGreaterThan(0.5);
        // The best that there is cannot be passed by more than chance.
        expect(efficiency.low).toBeLessThan(1);
        expect(efficiency.mean).toBeLessThan(1.05);
      }
    }
    const [identity, other] = rows.map(({ procedures }) => procedures[0]);
    expect(identity.above_baseline).toEqual({ mean: 0, low: 0, high: 0 });
    expect(other.above_baseline.mean).toBeCloseTo(other.win_rate.mean - identity.win_rate.mean, 10);
  });

  it.each(Object.keys(ablations))('are told: %s', (name) => {
    const section = ablationSection(name, { experiment: 'tiny', results });
    expect(section).toMatch(/^## /);
    expect(section).not.toMatch(/NaN|undefined|null/);
  });

  it('are refused where there is no run that they are of, before anything is measured', async () => {
    const finished = openFinishedExperiment(path);
    const none = { ...finished, runsAtLowestKl: (method) => finished.runsAtLowestKl(`${method}-other`) };
    const measured = measureAblations(none, settings, ['calibration-error', 'efficiency'], (text) => {
      throw new Error(text);
    });
    await expect(measured).rejects.toThrow(/no run of ppo\/identity .*--only/);
    finished.dispose();
  });

  it('are refused where a step is missing', () => {
    const unfinished = join(place, 'unfinished');
    expect(() => openFinishedExperiment(unfinished)).toThrow(InputError);
    rmSync(join(path, 'judge', 'result.json'));
    expect(() => openFinishedExperiment(path)).toThrow(/judge.*--resume/);
  });
});
