import { frontierCurve, parseProcedure, winRateEstimator } from '@infalign/core';
import { checkpointNames } from '@infalign/pipeline';
import { biasKl } from './additive-reward.mjs';
import { meanOf, statisticOver, sumOf } from './interval.mjs';
import { inBatches, sampleResponses, scoreResponses } from './rollouts.mjs';

/**
 * How policies are measured.
 *
 * @typedef {object} Measuring
 * @property {import('./measure.mjs').Ablation['finished']} finished
 * @property {import('./measure.mjs').Ablation['heldOut']} heldOut
 * @property {{ rollouts: number, procedures: readonly string[], bias: { rounds: number, tolerance: number } }} settings
 * @property {readonly (string | number)[]} seed together with a policy's name it decides each response
 */

/**
 * A policy's KL to the base policy and its win rates, by prompt.
 *
 * @param {Measuring} measuring
 * @param {(sequences: object[]) => number[]} [klOf] of responses: by default the exact KL, token by token
 * @returns {{ kls: number[], winRates: number[][] }} one list of win rates a procedure
 */
export function measuredPolicy(measuring, policy, name, sampling = measuring.finished.experiment.sampling, klOf) {
  const { finished, heldOut, settings } = measuring;
  const { rollouts, procedures } = settings;
  const base = finished.model(checkpointNames.basePolicy);
  const scorer = finished.model(checkpointNames.rewardModel);
  const estimators = procedures.map((procedure) => winRateEstimator(parseProcedure(procedure)));
  const divergence = klOf ?? ((sequences) => policy.tokenKl(base, sequences, sampling.temperature).map(sumOf));
  const seed = [...measuring.seed, name];
  const byPrompt = heldOut.map(({ prompt, many }) => {
    const responses = sampleResponses(policy, prompt, rollouts, { seed, sampling });
    const rewards = scoreResponses(scorer, prompt.tokens, responses);
    const sequences = responses.map((responseTokens) => ({ promptTokens: prompt.tokens, responseTokens }));
    return {
      kl: meanOf(inBatches(sequences, divergence)),
      winRates: estimators.map((estimate) => estimate(rewards, many.rewards)),
    };
  });
  return {
    kls: byPrompt.map(({ kl }) => kl),
    winRates: procedures.map((_, index) => byPrompt.map(({ winRates }) => winRates[index])),
  };
}

/**
 * The base policy with a multiple of a bias, at which its KL is the one that is wanted.
 *
 * @param {Measuring} measuring
 * @param {ArrayLike<number>} bias by token, added to logits
 * @param {number} wantedKl in nats, above 0
 * @returns what `measuredPolicy` does, and the multiple, eta
 */
export function biasedPolicy(measuring, bias, wantedKl) {
  const base = measuring.finished.model(checkpointNames.basePolicy);
  const { sampling } = measuring.finished.experiment;
  const { rounds, tolerance } = measuring.settings.bias;
  let eta = 1;
  for (let round = 1; ; round++) {
    const logitBias = Array.from(bias, (weight) => eta * weight);
    const klOf = (sequences) =>
      base.logDistributions(sequences, sampling.temperature).map((own) => biasKl(own, logitBias));
    const found = measuredPolicy(measuring, base, 'logit bias', { ...sampling, logitBias }, klOf);
    const kl = meanOf(found.kls);
    if (round === rounds || Math.abs(kl / wantedKl - 1) <= tolerance) return { eta, ...found };
    // To second order, the KL goes with the square of the bias.
    eta *= Math.sqrt(wantedKl / kl);
  }
}

/**
 * (win rate − ½) / (frontier at the KL − ½), both means over prompts. Near the KL that was measured, the frontier is taken as a
 * straight line: a thousand points of it would take minutes.
 *
 * @param {readonly { kl: number, winRate: number }[]} byPrompt
 * @param {string} seed what the interval is of
 */
export function efficiencyOver(procedure, byPrompt, seed) {
  const centre = meanOf(byPrompt.map(({ kl }) => kl));
  const kls = [0.9 * centre, centre, 1.1 * centre];
  const [below, at, above] = frontierCurve(parseProcedure(procedure), kls).map(({ winRate }) => winRate);
  const frontier = (kl) => at + ((kl - centre) * (above - below)) / (0.2 * centre);
  return statisticOver(
    byPrompt,
    (drawn) =>
      (meanOf(drawn.map(({ winRate }) => winRate)) - 0.5) / (frontier(meanOf(drawn.map(({ kl }) => kl))) - 0.5),
    seed,
  );
}
