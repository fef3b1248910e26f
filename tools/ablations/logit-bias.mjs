import { calibrateReward, parseTransformation, sortedReferences, transformEstimate } from '@infalign/core';
import { checkpointNames } from '@infalign/pipeline';
import { fitAdditiveReward } from './additive-reward.mjs';
import { meanOf, meanOver, sumOf } from './interval.mjs';
import { biasedPolicy, efficiencyOver } from './measured-policy.mjs';

/** What the others are compared with. */
const baseline = 'identity';

/**
 * The base policy with a logit bias for each transformation: weights of tokens, fitted to transformed calibrated rewards of the
 * reference rollouts of training prompts, at the same KLs. Nothing is trained, so that transformations differ by what they ask for
 * alone, and not by how well a policy learns it. All are measured with the same random numbers.
 *
 * @param {import('./measure.mjs').Ablation} ablation
 */
export async function measureLogitBias({ finished, settings, heldOut }) {
  const { kls, transformations, ridge, procedures } = settings.logitBias;
  const seed = `${finished.experiment.seed}/logit-bias`;
  const measuring = { finished, heldOut, settings: settings.logitBias, seed: [finished.experiment.seed, 'logit-bias'] };
  const { vocabSize: vocabulary } = finished.model(checkpointNames.basePolicy).config;
  const known = await finished.trainingReferences();
  const biases = [baseline, ...transformations].map((name) => {
    const fitted = known.map(({ responses, rewards }) => ({ responses, rewards: transformed(name, rewards) }));
    return { name, bias: fitAdditiveReward(fitted, { vocabulary, ridge }).weights };
  });
  const rows = kls.flatMap((wanted) => {
    const measured = biases.map(({ name, bias }) => ({ name, ...biasedPolicy(measuring, bias, wanted) }));
    const [{ winRates: ofBaseline }] = measured;
    return measured.map(({ name, eta, kls: klsByPrompt, winRates }) => ({
      target_kl: wanted,
      transformation: name,
      eta,
      kl: meanOf(klsByPrompt),
      procedures: procedures.map((procedure, index) => {
        const label = `${seed}/${wanted}/${name}/${procedure}`;
        const own = winRates[index];
        return {
          procedure,
          win_rate: meanOver(own, `${label}/win-rate`),
          above_baseline: meanOver(
            own.map((winRate, prompt) => winRate - ofBaseline[index][prompt]),
            `${label}/above`,
          ),
          efficiency: efficiencyOver(
            procedure,
            own.map((winRate, prompt) => ({ kl: klsByPrompt[prompt], winRate })),
            `${label}/efficiency`,
          ),
        };
      }),
    }));
  });
  return {
    baseline,
    prompts: heldOut.length,
    rollouts_per_prompt: settings.logitBias.rollouts,
    training_prompts: known.length,
    training_rollouts: sumOf(known.map(({ rewards }) => rewards.length)),
    rows,
  };
}

/** What a policy would be trained on, of rewards of one prompt's reference rollouts. */
function transformed(name, rewards) {
  const transformation = parseTransformation(name);
  const references = sortedReferences(rewards);
  return rewards.map((reward) =>
    transformEstimate(transformation, calibrateReward(reward, references), rewards.length, { normalised: true }),
  );
}
