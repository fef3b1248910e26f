import { cpus, platform, arch, totalmem } from 'node:os';
import {
  MATCHED_KL_REACH,
  alignedPolicy,
  betaForKl,
  bestOfPolicy,
  bestOfWinRateEstimator,
  bootstrapMean,
  calibrateReward,
  calibrationCurve,
  calibrationQuality,
  frontierCurve,
  largestKlOfRewards,
  mean,
  optimumOnRewards,
  parseMethod,
  parseProcedure,
  rawBeta,
  rewardOfMethod,
  samplesForBestOf,
  sortedReferences,
  standardProcedure,
  winRateEstimator,
  type AlignedPolicy,
  type Strength,
  type Transformation,
} from '@infalign/core';
import type { ExperimentResults, Interval, WinRateResult } from '@infalign/report';
import { checkpointNames, policyRuns, readText, stepNames, strengthOf } from '@infalign/pipeline';
import type { Experiment } from '@infalign/run-config';
import type { ExperimentFolder } from './experiment-folder.js';
import { planSteps } from './plan.js';
import type { RankedResponse } from './ranked-responses.js';
import type { LanguageModelResult } from './steps/language-model.js';
import type { PolicyRunResult } from './steps/policy-run.js';
import type { HeldOutReferencesResult } from './steps/references.js';
import type { RewardModelResult } from './steps/reward-model.js';
import type { TextResult } from './steps/text.js';

/** What the results tell of their making that the experiment's folder does not hold. */
export interface ResultsContext {
  readonly experiment: Experiment;
  /** The experiment with all defaults filled in, as YAML. */
  readonly settings: string;
  readonly folder: ExperimentFolder;
  /** Version of infalign. */
  readonly version: string;
  /** Versions of other software by name. */
  readonly software: Readonly<Record<string, string>>;
}

const datasetNames = {
  'state-of-the-union': 'State of the Union addresses',
  'hh-rlhf': 'Anthropic HH-RLHF',
  tldr: 'Reddit TL;DR',
} as const;

/** Puts together what the steps of a finished experiment have left. */
export function collectResults(context: ResultsContext): ExperimentResults {
  const { experiment, folder, settings } = context;
  const runs = policyRuns(experiment).map(({ name }) => folder.result<PolicyRunResult>(name));
  const references = folder.result<HeldOutReferencesResult>(stepNames.heldOutReferences);
  const base = folder.result<LanguageModelResult>(stepNames.base);
  const klsOfCurves = curveKls(runs);
  return {
    schema_version: 1,
    name: experiment.name,
    version: context.version,
    seed: experiment.seed,
    dataset: {
      name: datasetNames[experiment.dataset.kind],
      training_prompts: experiment.prompts.train,
      calibration_prompts: experiment.prompts.calibration,
      evaluation_prompts: experiment.prompts.evaluation,
    },
    procedures: [...experiment.procedures],
    samples_per_prompt: experiment.evaluation.samples,
    base_model: {
      parameters: base.parameters,
      vocabulary: folder.result<TextResult>(stepNames.text).vocabulary,
      training_tokens: base.trainingTokens,
      training_loss: [...base.trainingLoss],
      validation_loss: [...base.validationLoss],
    },
    proxy: rewardModel(folder.result<RewardModelResult>(stepNames.rewardModel)),
    judge: rewardModel(folder.result<RewardModelResult>(stepNames.judge)),
    reward_agreement: references.agreement,
    ...plant(experiment, references),
    calibration: calibration(experiment, references),
    frontiers: experiment.procedures.map((procedure) => ({
      procedure,
      points: frontierCurve(parseProcedure(procedure), klsOfCurves).map(({ kl, winRate }) => ({
        kl,
        win_rate: winRate,
      })),
    })),
    method_curves: methodCurves(experiment, references, klsOfCurves),
    runs: runs.map((run) => runResults(experiment, run, references)),
    best_of_n: bestOfNResults(experiment, references),
    samples: samples(context, runs, references),
    settings,
    machine: {
      platform: `${platform()} ${arch()}`,
      processor: cpus()[0]?.model ?? 'unknown',
      cores: cpus().length,
      memory_bytes: totalmem(),
      software: { node: process.versions.node, ...context.software },
    },
    times: times(context),
  };
}

/** The n for which the base policy under best-of-n is measured. */
const bestOfNs = [2, 4, 8, 16];

/**
 * KL at which exact curves are drawn: denser near zero, where they are steep, and beyond the largest measured KL and those that
 * methods are compared at.
 */
function curveKls(runs: readonly PolicyRunResult[]): number[] {
  // Too many, of all runs, to be arguments.
  const largest = runs.flatMap((run) => run.evaluation).reduce((most, { klExact }) => Math.max(most, klExact), 1);
  const measured = Math.max(
    ...bestOfNs.map((n) => bestOfPolicy(n, standardProcedure).kl),
    ...runs.map((run) => mean(run.evaluation.map((prompt) => prompt.klExact))),
  );
  const end = Math.min(1.6 * measured, Math.max(largest, (1 + MATCHED_KL_REACH) * measured));
  const count = 40;
  return Array.from({ length: count + 1 }, (_, index) => end * (index / count) ** 2);
}

/**
 * What the optimum of each method reaches under each procedure, of those methods that have a reward: exactly, or, on the raw one,
 * as far as the base policy's rewards on calibration prompts tell.
 */
function methodCurves(
  { procedures, runs }: Experiment,
  { calibration }: HeldOutReferencesResult,
  kls: readonly number[],
): ExperimentResults['method_curves'] {
  const baseRewards = calibration.map(({ rewards, fresh }) => [...rewards, ...fresh]);
  const curves = runs.methods
    // One policy serves all procedures: to find it is what takes time.
    .map((method) => ({ method, optima: optimaOf(method, baseRewards, kls) }))
    .filter(({ optima }) => optima.length > 1);
  return procedures.flatMap((name) => {
    const procedure = parseProcedure(name);
    return curves.map(({ method, optima }) => ({
      procedure: name,
      method,
      points: optima.map(({ kl, winRate }) => ({ kl, win_rate: winRate(procedure) })),
    }));
  });
}

/** The optima of a method at those of the KLs at which they are known. */
function optimaOf(
  method: string,
  baseRewards: readonly (readonly number[])[],
  kls: readonly number[],
): Pick<AlignedPolicy, 'kl' | 'winRate'>[] {
  const { reward } = parseMethod(method);
  if (reward === undefined) return [];
  const largest = reward === 'raw' ? largestKlOfRewards(baseRewards) : Infinity;
  return kls.flatMap((kl) => {
    if (kl > largest) return [];
    if (kl === 0) return [{ kl, winRate: () => 0.5 }];
    if (reward === 'raw') return [{ kl, winRate: optimumOnRewards(baseRewards, { kl }).winRate }];
    const transformation = transformationOf(method, { kl })!;
    return [{ kl, winRate: alignedPolicy(transformation.apply, betaForKl(transformation, kl)).winRate }];
  });
}

/** The transformation that a method trains on, on which alone, with β, its optimum depends; undefined where it has none. */
function transformationOf(method: string, strength: Strength): Transformation | undefined {
  if (parseMethod(method).reward === undefined) return undefined;
  const { reward } = rewardOfMethod(parseMethod(method), strength);
  return reward === 'raw' ? undefined : reward;
}

function rewardModel({
  parameters,
  trainingPairs,
  heldOutPairs,
  accuracy,
}: RewardModelResult): ExperimentResults['proxy'] {
  return { parameters, training_pairs: trainingPairs, held_out_pairs: heldOutPairs, accuracy };
}

/** What was planted, and what base policy and reward models make of it; nothing where nothing was. */
function plant(experiment: Experiment, { plant: measured }: HeldOutReferencesResult): Pick<ExperimentResults, 'plant'> {
  const planted = experiment.rewardModel.plant;
  if (!planted || !measured) return {};
  const interval = (label: string, values: readonly number[]) => intervalOver(values, `plant/${label}`, experiment);
  return {
    plant: {
      ...planted,
      base: interval('base', measured.phraseShares),
      liking: { proxy: interval('proxy', measured.proxyLiking), judge: interval('judge', measured.judgeLiking) },
    },
  };
}

function calibration(
  experiment: Experiment,
  { calibration: prompts }: HeldOutReferencesResult,
): ExperimentResults['calibration'] {
  const calibrated = (references: number): number[] =>
    prompts.flatMap(({ rewards, fresh }) => {
      const sorted = sortedReferences(rewards.slice(0, references));
      return fresh.map((reward) => calibrateReward(reward, sorted));
    });
  const quality = (references: number) => {
    const { kolmogorovSmirnov, meanAbsoluteError } = calibrationQuality(calibrated(references));
    return { kolmogorov_smirnov: kolmogorovSmirnov, mean_absolute_error: meanAbsoluteError };
  };
  const all = calibrated(experiment.calibration.references);
  const curve = calibrationCurve(all);
  const bins = 20;
  const histogram = new Array<number>(bins).fill(0);
  for (const value of all) histogram[Math.min(bins - 1, Math.floor(value * bins))]! += 1 / all.length;
  return {
    references_per_prompt: experiment.calibration.references,
    prompts: prompts.length,
    rollouts_per_prompt: experiment.evaluation.samples,
    ...quality(experiment.calibration.references),
    curve: Array.from(curve.nominal, (nominal, index) => ({ nominal, empirical: curve.empirical[index]! })),
    histogram,
    by_references: [...new Set([4, 8, 16, 32, 64, 100, 300, experiment.calibration.references])]
      .filter((references) => references <= experiment.calibration.references)
      .sort((a, b) => a - b)
      .map((references) => ({ references, ...quality(references) })),
  };
}

/** Whose rewards, and the names under which results of steps hold them. */
const scorers = [
  ['proxy', 'rewards'],
  ['judge', 'judgeRewards'],
] as const;

/** The mean over prompts with its interval, which follows from the values, the label and the experiment's seed. */
function intervalOver(values: readonly number[], label: string, { seed, evaluation }: Experiment): Interval {
  const { mean, low, high } = bootstrapMean(values, {
    seed: `${seed}/${label}`,
    resamples: evaluation.bootstrapResamples,
  });
  return { mean, low, high };
}

function runResults(
  experiment: Experiment,
  { run, beta, training, evaluation, phraseShares }: PolicyRunResult,
  references: HeldOutReferencesResult,
): ExperimentResults['runs'][number] {
  const transformation = transformationOf(run.method, strengthOf(run));
  const interval = (label: string, values: readonly number[]) =>
    intervalOver(values, `${run.name}/${label}`, experiment);
  const exact = evaluation.map((prompt) => prompt.klExact);
  return {
    name: run.name,
    method: run.method,
    seed: run.seed,
    target_kl: run.targetKl ?? null,
    beta: { normalised: beta, raw: transformation ? rawBeta(transformation, beta) : null },
    kl: {
      exact: interval('kl-exact', exact),
      k1: interval(
        'kl-k1',
        evaluation.map((prompt) => prompt.klK1),
      ),
      k3: interval(
        'kl-k3',
        evaluation.map((prompt) => prompt.klK3),
      ),
      by_prompt: exact,
    },
    win_rates: experiment.procedures.flatMap((procedure) => {
      const winRate = winRateEstimator(parseProcedure(procedure));
      return scorers.map(([scorer, rewards]): WinRateResult => {
        const byPrompt = evaluation.map((prompt, index) =>
          winRate(prompt[rewards], references.evaluation[index]![rewards]),
        );
        return { procedure, scorer, ...interval(`${procedure}-${scorer}`, byPrompt), by_prompt: byPrompt };
      });
    }),
    ...(phraseShares && { phrase_share: interval('phrase', phraseShares) }),
    training: training.map((statistics) => ({
      iteration: statistics.iteration,
      transformed_reward: statistics.meanTransformedReward,
      calibrated_reward: statistics.meanCalibratedReward,
      kl: statistics.kl,
      beta: statistics.beta,
      clip_fraction: statistics.clipFraction,
      value_loss: experiment.ppo.advantages === 'value' ? statistics.valueLoss : null,
      response_tokens: statistics.responseTokens,
      entropy: null,
    })),
  };
}

/** The base policy under best-of-n, from the rollouts that win rates are taken against. */
function bestOfNResults(
  experiment: Experiment,
  { evaluation }: HeldOutReferencesResult,
): ExperimentResults['best_of_n'] {
  const fewest = Math.min(...evaluation.map(({ rewards }) => rewards.length));
  return bestOfNs.flatMap((n) => {
    const winRates = experiment.procedures.flatMap((name) => {
      const procedure = parseProcedure(name);
      if (samplesForBestOf(n, procedure) > fewest) return [];
      const winRate = bestOfWinRateEstimator(n, procedure);
      return scorers.map(([scorer, rewards]): WinRateResult => {
        const byPrompt = evaluation.map((prompt) => winRate(prompt.rewards, prompt[rewards]));
        const interval = intervalOver(byPrompt, `best-of-${n}/${name}-${scorer}`, experiment);
        return { procedure: name, scorer, ...interval, by_prompt: byPrompt };
      });
    });
    return winRates.length === 0 ? [] : [{ n, kl: bestOfPolicy(n, standardProcedure).kl, win_rates: winRates }];
  });
}

function samples(
  { folder }: ResultsContext,
  runs: readonly PolicyRunResult[],
  references: HeldOutReferencesResult,
): ExperimentResults['samples'] {
  const prompts = new Map(
    readText(folder.step(checkpointNames.text)).prompts.evaluation.map((prompt) => [prompt.id, prompt.text]),
  );
  return references.samples.map(({ promptId, responses }, index) => {
    const sorted = sortedReferences(references.evaluation[index]!.rewards);
    const shown = (ranked: readonly RankedResponse[]) =>
      ranked.map(({ rank, text, reward, judgeReward }) => ({
        rank,
        text,
        proxy_reward: reward,
        judge_reward: judgeReward,
        calibrated_reward: calibrateReward(reward, sorted),
      }));
    return {
      prompt_id: promptId,
      prompt: prompts.get(promptId)!,
      policies: [
        { run: null, responses: shown(responses) },
        ...runs.map((run) => ({ run: run.run.name, responses: shown(run.samples[index]!.responses) })),
      ],
    };
  });
}

function times({ experiment, folder }: ResultsContext): ExperimentResults['times'] {
  const steps = planSteps(experiment)
    .map(({ name }) => ({ name, ...folder.times(name) }))
    .sort((a, b) => (a.startedAt < b.startedAt ? -1 : 1));
  const start = Date.parse(steps[0]!.startedAt);
  const end = Math.max(...steps.map((step) => Date.parse(step.startedAt) + 1000 * step.seconds));
  return {
    started_at: steps[0]!.startedAt,
    total_seconds: (end - start) / 1000,
    peak_memory_bytes: Math.max(...steps.map((step) => step.peakMemoryBytes)),
    steps: steps.map(({ name, seconds }) => ({ name, seconds })),
  };
}
