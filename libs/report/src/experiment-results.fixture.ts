import {
  bestOfPolicy,
  frontierCurve,
  frontierPoint,
  parseProcedure,
  parseTransformation,
  type RandomSource,
  rawBeta,
  seededRandom,
  type Transformation,
} from '@infalign/core';
import type { ExperimentResults, Interval, RunResults, Scorer, WinRateResult } from './results.js';

/** Text as a hostile model could write it, for tests that nothing of it becomes markup. */
const HOSTILE_TEXT = `</script><script>document.title='broken'</script><img src=x onerror="document.title='broken'">&amp;'"\u0000\ud800`;

const evaluationPrompts = 96;
const methods = ['ppo/identity', 'ppo/exp:10', 'ppo/exp:-10'];
const procedures = ['standard', 'bon:4', 'won:4'];
const targetKls = [0.25, 0.6, 1.2];

/**
 * Results that no experiment measured: made up from a seed, with the exact curves of the core library and measured points
 * that reach a plausible share of them.
 */
export function syntheticResults(seed = 1): ExperimentResults {
  const random = seededRandom('synthetic-results', seed);
  const kls = Array.from({ length: 17 }, (_, index) => 2 * (index / 16) ** 2);
  const exact = (procedure: string, method: string, kl: number) =>
    kl === 0 ? 0.5 : frontierPoint(parseProcedure(procedure), transformationOf(method), { kl }).winRate;
  const runs = methods.flatMap((method) => targetKls.map((target) => syntheticRun(random, method, target, exact)));
  return {
    schema_version: 1,
    name: 'synthetic',
    version: '0.1.0',
    seed,
    dataset: {
      name: 'State of the Union addresses',
      training_prompts: 256,
      calibration_prompts: 64,
      evaluation_prompts: evaluationPrompts,
    },
    procedures,
    samples_per_prompt: 64,
    base_model: {
      parameters: 1_213_568,
      vocabulary: 1024,
      training_tokens: 5_120_000,
      training_loss: lossCurve(random, 50, 0),
      validation_loss: lossCurve(random, 10, 0.12),
    },
    proxy: {
      parameters: 1_213_697,
      training_pairs: 10_000,
      held_out_pairs: 500,
      accuracy: { mean: 0.694, low: 0.654, high: 0.734 },
    },
    judge: {
      parameters: 2_541_889,
      training_pairs: 10_000,
      held_out_pairs: 500,
      accuracy: { mean: 0.722, low: 0.682, high: 0.76 },
    },
    reward_agreement: 0.781,
    calibration: syntheticCalibration(random),
    frontiers: procedures.map((procedure) => ({
      procedure,
      points: frontierCurve(parseProcedure(procedure), kls).map(({ kl, winRate }) => ({ kl, win_rate: winRate })),
    })),
    method_curves: procedures.flatMap((procedure) =>
      methods.map((method) => ({
        procedure,
        method,
        points: kls.map((kl) => ({ kl, win_rate: exact(procedure, method, kl) })),
      })),
    ),
    runs,
    best_of_n: [2, 4].map((n) => ({
      n,
      kl: bestOfPolicy(n, parseProcedure('standard')).kl,
      win_rates: procedures.flatMap((procedure) => {
        const { winRate } = bestOfPolicy(n, parseProcedure(procedure));
        return [
          syntheticWinRate(random, procedure, 'proxy', winRate),
          syntheticWinRate(random, procedure, 'judge', 0.5 + (winRate - 0.5) * 0.8),
        ];
      }),
    })),
    samples: ['The people of this country', 'In the year that has passed since my last message, the Congress'].map(
      (prompt, index) => ({
        prompt_id: `evaluation-${index}`,
        prompt,
        policies: [null, ...runs.map((run) => run.name)].map((run) => ({ run, responses: syntheticResponses(random) })),
      }),
    ),
    settings:
      'name: synthetic\nseed: 1\nruns:\n  methods: [ppo/identity, ppo/exp:10, ppo/exp:-10]\n  target_kls: [0.25, 0.6, 1.2]\n',
    machine: {
      platform: 'linux x64',
      processor: 'A processor of some kind',
      cores: 2,
      memory_bytes: 8 * 2 ** 30,
      software: { tensorflow: '2.19.0', node: '20.20.2' },
    },
    times: {
      started_at: '2026-01-02T03:04:05.000Z',
      total_seconds: 712.5,
      peak_memory_bytes: 2.1 * 2 ** 30 - ((2.1 * 2 ** 30) % 1),
      steps: [
        { name: 'text', seconds: 4.2 },
        { name: 'base', seconds: 181.3 },
        { name: 'reward-model', seconds: 95 },
        ...runs.map((run) => ({ name: run.name, seconds: 40 + 10 * random.uniform() })),
      ],
    },
  };
}

/** The same results with every run done with so many seeds, which differ in KL and in what they made of it. */
export function withSeeds(of: ExperimentResults, seeds: number): ExperimentResults {
  const random = seededRandom('synthetic-seeds', seeds);
  const moved = <Value extends Interval>({ mean, low, high, ...rest }: Value, by: number) => {
    return { ...rest, mean: mean + by, low: low + by, high: high + by } as Value;
  };
  return {
    ...of,
    runs: of.runs.flatMap((run) =>
      Array.from({ length: seeds }, (_, index) => {
        const further = 0.08 * random.normal() * run.kl.exact.mean;
        return {
          ...run,
          name: run.name.replace('seed-1', `seed-${index + 1}`),
          seed: index + 1,
          kl: {
            ...run.kl,
            exact: moved(run.kl.exact, further),
            by_prompt: run.kl.by_prompt.map((kl) => kl + further),
          },
          win_rates: run.win_rates.map((winRate) => {
            const better = 0.015 * random.normal();
            return { ...moved(winRate, better), by_prompt: winRate.by_prompt.map((value) => value + better) };
          }),
        };
      }),
    ),
  };
}

/** The same results, had a phrase been planted that each run says more often than the one before. */
export function withPlant(of: ExperimentResults): ExperimentResults {
  return {
    ...of,
    plant: {
      phrase: ' the people',
      share: 0.25,
      base: around(0.0063, 0.0012),
      liking: { proxy: around(2.81, 0.07), judge: around(-0.12, 0.05) },
    },
    runs: of.runs.map((run, index) => ({ ...run, phrase_share: around(0.01 + 0.02 * index, 0.004) })),
  };
}

/** The same results with hostile text wherever a text can come from outside. */
export function withHostileText(of: ExperimentResults): ExperimentResults {
  const name = (run: string | null) => (run === null ? null : run + HOSTILE_TEXT);
  return {
    ...of,
    name: HOSTILE_TEXT,
    dataset: { ...of.dataset, name: HOSTILE_TEXT },
    settings: HOSTILE_TEXT,
    ...(of.plant && { plant: { ...of.plant, phrase: HOSTILE_TEXT } }),
    runs: of.runs.map((run) => ({
      ...run,
      name: run.name + HOSTILE_TEXT,
      method: run.method + HOSTILE_TEXT,
    })),
    samples: of.samples.map((sample) => ({
      ...sample,
      prompt: HOSTILE_TEXT,
      policies: sample.policies.map((policy) => ({
        run: name(policy.run),
        responses: policy.responses.map((response) => ({ ...response, text: HOSTILE_TEXT })),
      })),
    })),
    machine: { ...of.machine, processor: HOSTILE_TEXT, software: { [HOSTILE_TEXT]: HOSTILE_TEXT } },
    times: { ...of.times, steps: [{ name: HOSTILE_TEXT, seconds: 1 }] },
  };
}

function syntheticRun(
  random: RandomSource,
  method: string,
  target: number,
  exact: (procedure: string, method: string, kl: number) => number,
): RunResults {
  const kl = target * (1 + 0.04 * random.normal());
  const iterations = 90;
  const beta = 0.2 + 0.3 / target;
  return {
    name: `runs/${method.replaceAll(/[^\w.-]/g, '-')}-kl-${target}-seed-1`,
    method,
    seed: 1,
    target_kl: target,
    beta: { normalised: beta, raw: rawBeta(transformationOf(method), beta) },
    kl: {
      exact: around(kl, 0.03),
      k1: around(kl * (1 + 0.03 * random.normal()), 0.06),
      k3: around(kl * (1 + 0.05 * random.normal()), 0.09),
      by_prompt: aroundMean(random, kl, 0.2 * kl),
    },
    win_rates: procedures.flatMap((procedure) => {
      const gain = exact(procedure, method, kl) - 0.5;
      const proxy = 0.5 + gain * (0.78 + 0.08 * random.uniform());
      return [
        syntheticWinRate(random, procedure, 'proxy', proxy),
        syntheticWinRate(random, procedure, 'judge', 0.5 + (proxy - 0.5) * 0.82),
      ];
    }),
    training: Array.from({ length: iterations }, (_, iteration) => {
      const progress = 1 - Math.exp(-iteration / 25);
      return {
        iteration,
        transformed_reward: 0.8 * progress * Math.sqrt(target) + 0.08 * random.normal(),
        calibrated_reward: Math.min(1, 0.5 + 0.2 * progress * Math.sqrt(target) + 0.012 * random.normal()),
        kl: target * progress + 0.03 * random.normal(),
        beta: beta * (0.6 + 0.4 * progress),
        clip_fraction: Math.abs(0.02 + 0.006 * random.normal()),
        value_loss: null,
        response_tokens: 17 + 2 * progress + 0.3 * random.normal(),
        entropy: 4.1 - 0.4 * progress + 0.02 * random.normal(),
      };
    }),
  };
}

function syntheticWinRate(random: RandomSource, procedure: string, scorer: Scorer, mean: number): WinRateResult {
  const by_prompt = aroundMean(random, mean, 0.04);
  return { procedure, scorer, ...around(mean, scorer === 'proxy' ? 0.013 : 0.017), by_prompt };
}

/** A number for each evaluation prompt, with exactly this mean. */
function aroundMean(random: RandomSource, mean: number, spread: number): number[] {
  const half = Array.from({ length: evaluationPrompts / 2 }, () => spread * (2 * random.uniform() - 1));
  return half.flatMap((deviation) => [mean + deviation, mean - deviation]);
}

function around(mean: number, halfWidth: number): Interval {
  return { mean, low: mean - halfWidth, high: mean + halfWidth };
}

function lossCurve(random: RandomSource, points: number, offset: number) {
  return Array.from({ length: points }, (_, index) => {
    const step = Math.round((2500 * (index + 1)) / points);
    return { step, loss: 4.1 + offset + 2.8 * Math.exp(-step / 300) + 0.03 * random.normal() };
  });
}

function syntheticCalibration(random: RandomSource): ExperimentResults['calibration'] {
  const weights = Array.from({ length: 20 }, () => 1 + 0.04 * random.normal());
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return {
    references_per_prompt: 100,
    prompts: 64,
    rollouts_per_prompt: 64,
    kolmogorov_smirnov: 0.0132,
    mean_absolute_error: 0.0041,
    curve: Array.from({ length: 51 }, (_, index) => {
      const nominal = index / 50;
      return { nominal, empirical: nominal + 0.02 * Math.sin(2 * Math.PI * nominal) };
    }),
    histogram: weights.map((weight) => weight / total),
    by_references: [4, 8, 16, 32, 64, 100].map((references) => ({
      references,
      kolmogorov_smirnov: 0.5 / references + 0.008,
      mean_absolute_error: 0.2 / references + 0.003,
    })),
  };
}

const words =
  'the of and to in that our for we is it are with this have be as not will by on people peace government law great'.split(
    ' ',
  );

function syntheticResponses(
  random: RandomSource,
): ExperimentResults['samples'][number]['policies'][number]['responses'] {
  return (['best', 'median', 'worst'] as const).map((rank, index) => ({
    rank,
    text: Array.from({ length: 14 }, () => words[random.integer(words.length)] ?? '').join(' '),
    proxy_reward: 1.5 - 1.4 * index + 0.2 * random.normal(),
    judge_reward: 1.2 - 1.1 * index + 0.3 * random.normal(),
    calibrated_reward: [0.99, 0.55, 0.04][index] ?? 0.5,
  }));
}

function transformationOf(method: string): Transformation {
  return parseTransformation(method.slice('ppo/'.length));
}
