import { calibrateReward, InputError, sortedReferences } from '@infalign/core';
import { checkpointNames } from '@infalign/pipeline';
import { fitAdditiveReward, missedByTokens, sumsOfTokens, withoutMean } from './additive-reward.mjs';
import { meanOf, meanOver, statisticOver, sumOf } from './interval.mjs';
import { biasedPolicy, efficiencyOver, measuredPolicy } from './measured-policy.mjs';
import { sampleContinuations, scoreResponses } from './rollouts.mjs';
import { trueCalibration } from './true-calibration.mjs';
import {
  correlation,
  covariance,
  determinedShare,
  explainedShare,
  groupOf,
  meanOverPairs,
  withoutLevel,
} from './variance-shares.mjs';

const method = 'ppo/identity';

/**
 * Where the efficiency of a trained policy goes: of `ppo/identity` at the lowest target KL, all seeds that are done.
 *
 * @param {import('./measure.mjs').Ablation} ablation
 */
export async function measureEfficiency({ finished, settings, heldOut }) {
  const ablation = { finished, settings, heldOut: heldOut.slice(0, settings.efficiency.prompts) };
  const runs = efficiencyRuns(finished);
  const known = await finished.trainingReferences();
  const additive = fitAdditive(ablation, known);
  const seen = ablation.heldOut.map((own) => levelsAndRatios(finished, runs, own));
  return {
    prompts: ablation.heldOut.length,
    method,
    target_kl: runs[0].targetKl,
    runs: runs.map(({ name }) => name),
    prefixes: measurePrefixes(ablation, runs),
    additive: additive.result,
    sums: measureSums(ablation, runs, known, seen),
    noise: measureNoise(ablation, runs, seen),
    policies: measurePolicies(ablation, runs, additive.bias),
  };
}

/**
 * The runs that the efficiency is measured of.
 *
 * @throws InputError if there is none
 */
export function efficiencyRuns(finished) {
  const runs = finished.runsAtLowestKl(method);
  if (runs.length === 0) {
    throw new InputError(
      `${finished.path}: no run of ${method} at a target KL is done, which efficiency is measured of. Run the experiment with ` +
        'one, or choose other ablations with --only.',
    );
  }
  return runs;
}

/** How much of the calibrated reward the first tokens of a response determine, and how much of that the critics know. */
export function measurePrefixes({ finished, settings, heldOut }, runs) {
  const { experiment } = finished;
  const { tokens, rootsPerPrompt, continuations } = settings.efficiency.prefixes;
  const policy = finished.model(checkpointNames.basePolicy);
  const scorer = finished.model(checkpointNames.rewardModel);
  const critics = runs.map((run) => finished.critic(run));
  const options = { seed: [experiment.seed, 'continuations'], sampling: experiment.sampling };
  const rows = tokens
    .filter((length) => length < experiment.sampling.maxResponseTokens)
    .map((length) => {
      const byPrompt = heldOut.map(({ prompt, calibrated, many }) => {
        const roots = calibrated.responses.slice(0, rootsPerPrompt).filter((response) => response.length > length);
        const prefixes = roots.map((response) => response.slice(0, length));
        const responses = sampleContinuations(policy, prompt, prefixes, continuations, options);
        const references = sortedReferences(many.rewards);
        const levels = scoreResponses(scorer, prompt.tokens, responses).map((r) => calibrateReward(r, references));
        const sequences = roots.map((responseTokens) => ({ promptTokens: prompt.tokens, responseTokens }));
        const values = critics.map((critic) => critic?.values(sequences).map((own) => own[length]));
        return roots.map((_, root) => ({
          ...groupOf(levels.slice(root * continuations, (root + 1) * continuations)),
          predictions: values.map((own) => own?.[root]),
        }));
      });
      const seed = `${experiment.seed}/efficiency/prefixes/${length}`;
      const explained = (groups) =>
        meanOf(
          runs.map((_, run) =>
            explainedShare(
              groups.map(({ predictions }) => predictions[run]),
              groups,
              continuations,
            ),
          ),
        );
      return {
        tokens: length,
        prefixes: byPrompt.flat().length,
        determined: statisticOver(
          byPrompt,
          (drawn) => determinedShare(drawn.flat(), continuations),
          `${seed}/determined`,
        ),
        explained_by_critic: critics.includes(undefined)
          ? null
          : statisticOver(byPrompt, (drawn) => explained(drawn.flat()), `${seed}/critic`),
      };
    });
  return { continuations, rows };
}

/** The part of the reward that is a sum over tokens: what it explains on held-out prompts, and the bias that it makes. */
export function fitAdditive({ finished, settings, heldOut }, known) {
  const { ridge } = settings.efficiency;
  const { vocabSize } = finished.model(checkpointNames.basePolicy).config;
  const { weights, deviation } = fitAdditiveReward(known, { vocabulary: vocabSize, ridge });
  const squares = heldOut.map(({ many }) => missedByTokens(many, weights));
  return {
    bias: weights.map((weight) => weight / deviation),
    result: {
      training_prompts: known.length,
      training_rollouts: sumOf(known.map(({ rewards }) => rewards.length)),
      explained: statisticOver(
        squares,
        (drawn) => 1 - sumOf(drawn.map(({ missed }) => missed)) / sumOf(drawn.map(({ all }) => all)),
        `${finished.experiment.seed}/efficiency/additive`,
      ),
    },
  };
}

/** How the policies' log-ratios to the base policy go with the calibrated reward, and what the seeds have in common beside it. */
export function measureNoise({ finished, settings }, runs, byPrompt) {
  const { bins } = settings.efficiency;
  const all = joined(byPrompt, runs.length);
  const rest = all.ratios.map((ratios) => withoutLevel(ratios, all.levels, bins));
  let start = 0;
  const withRest = byPrompt.map((own) => {
    const end = start + own.levels.length;
    const ends = { ...own, rest: rest.map((values) => Array.from(values.slice(start, end))) };
    start = end;
    return ends;
  });
  const statistics = {
    correlation_of_one: ({ levels, ratios }) => meanOf(ratios.map((own) => correlation(own, levels))),
    correlation_of_mean: ({ levels, ratios }) => correlation(meanOfLists(ratios), levels),
    ...(runs.length > 1 && {
      correlation_of_endless_mean: ({ levels, ratios }) => {
        const shared = meanOf(ratios.map((own) => covariance(own, levels)));
        const variance = covariance(levels, levels);
        // What seeds have in common varies at least as much as what of it goes with C (Cauchy and Schwarz); an estimate from few may not.
        return shared / Math.sqrt(variance * Math.max(meanOverPairs(ratios, covariance), shared ** 2 / variance));
      },
      rest_in_common: ({ rest: own }) => meanOverPairs(own, correlation),
    }),
  };
  return Object.fromEntries(
    Object.entries(statistics).map(([name, statistic]) => [
      name,
      statisticOver(
        withRest,
        (drawn) => statistic(joined(drawn, runs.length)),
        `${finished.experiment.seed}/efficiency/${name}`,
      ),
    ]),
  );
}

/**
 * How much of the policies' log-ratios is a sum over tokens, as weights of tokens tell it that are fitted to log-ratios of training
 * prompts; and how the sum, and what is left beside it, go with the calibrated reward.
 */
export function measureSums({ finished, settings }, runs, known, seen) {
  const { ridge } = settings.efficiency;
  const { vocabSize: vocabulary } = finished.model(checkpointNames.basePolicy).config;
  const learned = known.map(({ promptTokens, responses, rewards }) => {
    const references = sortedReferences(rewards);
    return {
      responses,
      levels: rewards.map((reward) => calibrateReward(reward, references)),
      ratios: logRatios(finished, runs, promptTokens, responses),
    };
  });
  /** Of values that a prompt has, one a response: what stands in a row. */
  const partsOf = (valuesOf) => {
    const fitted = learned.map((own) => ({ responses: own.responses, rewards: valuesOf(own) }));
    const { weights } = fitAdditiveReward(fitted, { vocabulary, ridge });
    return seen.map((own) => {
      const values = withoutMean(valuesOf(own));
      const sums = sumsOfTokens(own.responses, weights);
      const rests = values.map((value, index) => value - sums[index]);
      return { levels: withoutMean(own.levels), values, sums, rests };
    });
  };
  const statistics = {
    sum_share: ({ values, sums }) => correlation(values, sums) ** 2,
    correlation_of_sum: ({ levels, sums }) => correlation(sums, levels),
    correlation_of_rest: ({ levels, rests }) => correlation(rests, levels),
  };
  const row = (of, parts) => ({
    of,
    ...Object.fromEntries(
      Object.entries(statistics).map(([name, statistic]) => [
        name,
        statisticOver(
          seen.map((_, prompt) => parts.map((part) => part[prompt])),
          (drawn) => meanOf(parts.map((_, part) => statistic(listsOf(drawn.map((own) => own[part]))))),
          `${finished.experiment.seed}/efficiency/sums/${of}/${name}`,
        ),
      ]),
    ),
  });
  return {
    training_prompts: learned.length,
    rows: [
      row('calibrated reward', [partsOf(({ levels }) => levels)]),
      row(
        'one seed',
        runs.map((_, run) => partsOf(({ ratios }) => ratios[run])),
      ),
      ...(runs.length > 1 ? [row('mean of all seeds', [partsOf(({ ratios }) => meanOfLists(ratios))])] : []),
    ],
  };
}

/** Fresh rollouts of the base policy, their calibrated rewards, and every policy's log-ratios. */
function levelsAndRatios(finished, runs, { prompt, calibrated, many }) {
  return {
    responses: calibrated.responses,
    levels: trueCalibration(calibrated.rewards, many.rewards).map(({ value }) => value),
    ratios: logRatios(finished, runs, prompt.tokens, calibrated.responses),
  };
}

/** log π/π_base of whole responses, one list a run. */
function logRatios(finished, runs, promptTokens, responses) {
  const { temperature } = finished.experiment.sampling;
  const sequences = responses.map((responseTokens) => ({ promptTokens, responseTokens }));
  const logProbs = (policy) => policy.responseLogProbs(sequences, temperature).map(sumOf);
  const before = logProbs(finished.model(checkpointNames.basePolicy));
  return runs.map(({ policy }) => logProbs(finished.model(policy)).map((value, index) => value - before[index]));
}

/** Lists by prompt that each hold several, as one of each kind. */
function listsOf(byPrompt) {
  return Object.fromEntries(Object.keys(byPrompt[0]).map((name) => [name, byPrompt.flatMap((own) => own[name])]));
}

/** Lists of prompts, as one list of each kind. */
function joined(byPrompt, runs) {
  const lists = (of) => Array.from({ length: runs }, (_, run) => byPrompt.flatMap((own) => of(own)[run]));
  return {
    levels: byPrompt.flatMap(({ levels }) => levels),
    ratios: lists(({ ratios }) => ratios),
    ...(byPrompt[0].rest && { rest: lists(({ rest }) => rest) }),
  };
}

/** The trained policies, their mean, and the base policy with a bias, each measured on the same prompts. */
export function measurePolicies(ablation, runs, bias) {
  const { finished, settings } = ablation;
  const { seed } = finished.experiment;
  const measuring = { ...ablation, settings: settings.efficiency, seed: [seed, 'efficiency'] };
  const trained = runs.map(({ policy }) => measuredPolicy(measuring, finished.model(policy), policy));
  const one = averaged(trained);
  const rows = [{ policy: 'one seed', ...one }];
  if (runs.length > 1) {
    const name = 'mean of the weights';
    const model = finished.ownModel(name, meanOfModels(runs.map(({ policy }) => finished.stored(policy))));
    rows.push({ policy: name, ...measuredPolicy(measuring, model, name) });
  }
  rows.push({ policy: 'logit bias', ...biasedPolicy(measuring, bias, meanOf(one.kls)) });
  return {
    rollouts_per_prompt: settings.efficiency.rollouts,
    rows: rows.map(({ policy, kls, winRates, ...more }) => ({
      policy,
      ...more,
      kl: meanOver(kls, `${seed}/efficiency/${policy}/kl`),
      procedures: settings.efficiency.procedures.map((procedure, index) =>
        procedureRow(procedure, kls, winRates[index], one.winRates[index], `${seed}/efficiency/${policy}/${procedure}`),
      ),
    })),
  };
}

function procedureRow(procedure, kls, winRates, winRatesOfOne, seed) {
  const byPrompt = kls.map((kl, index) => ({ kl, winRate: winRates[index] }));
  return {
    procedure,
    win_rate: meanOver(winRates, `${seed}/win-rate`),
    above_one_seed: meanOver(
      winRates.map((winRate, index) => winRate - winRatesOfOne[index]),
      `${seed}/above`,
    ),
    efficiency: efficiencyOver(procedure, byPrompt, `${seed}/efficiency`),
  };
}

function averaged(policies) {
  return {
    kls: meanOfLists(policies.map(({ kls }) => kls)),
    winRates: policies[0].winRates.map((_, index) => meanOfLists(policies.map(({ winRates }) => winRates[index]))),
  };
}

function meanOfLists(lists) {
  return lists[0].map((_, index) => meanOf(lists.map((list) => list[index])));
}

/** A model whose every weight is the mean of those of models with one configuration. */
function meanOfModels(models) {
  const weights = [...models[0].weights].map(([name, { shape, data }]) => [
    name,
    { shape, data: data.map((_, index) => meanOf(models.map((model) => model.weights.get(name).data[index]))) },
  ]);
  return { config: models[0].config, weights: new Map(weights) };
}
