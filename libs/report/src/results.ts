import { z } from 'zod';

/** Raised when a field of results.json changes its meaning, or comes or goes. */
export const RESULTS_SCHEMA_VERSION = 1;

const count = z.int().min(0);
const positiveCount = z.int().min(1);
const finite = z.number();
const share = z.number().min(0).max(1);
const nonNegative = z.number().min(0);
const name = z.string().min(1);

/** A mean over evaluation prompts with its interval. */
const interval = z
  .strictObject({
    mean: finite,
    low: finite.describe('Lower end of the 95 % bootstrap interval over prompts.'),
    high: finite.describe('Upper end of it.'),
  })
  .refine(({ low, high }) => low <= high, { error: 'must have low ≤ high' });

const winRateInterval = z
  .strictObject({
    procedure: name.describe('One of `procedures`.'),
    scorer: z
      .enum(['proxy', 'judge'])
      .describe(
        'Whose reward chooses among the N responses and decides the comparisons: the reward trained against (proxy), or the judge.',
      ),
    mean: share.describe('Win rate of T(policy) over T(base policy), 0 to 1; ½ is no better than the base policy.'),
    low: share.describe('Lower end of the 95 % bootstrap interval over prompts.'),
    high: share.describe('Upper end of it.'),
    by_prompt: z
      .array(share)
      .describe('On each evaluation prompt, in the same order everywhere: their mean is the mean.'),
  })
  .refine(({ low, high }) => low <= high, { error: 'must have low ≤ high' });

const winRates = z.array(winRateInterval).min(1).describe('One for each procedure and scorer, over the base policy.');

const curvePoint = z.strictObject({
  kl: nonNegative.describe('KL from the base policy, nats a response.'),
  win_rate: share.describe('Win rate over the base policy under the same procedure.'),
});

const curvePoints = z
  .array(curvePoint)
  .min(2)
  .superRefine((points, context) => {
    points.forEach((point, index) => {
      const before = points[index - 1];
      if (before !== undefined && !(point.kl > before.kl)) {
        context.addIssue({
          code: 'custom',
          path: [index, 'kl'],
          message: 'must be above the KL of the point before it',
        });
      }
    });
  })
  .describe(
    'In rising order of KL. It should begin at (0, ½) and reach beyond the largest measured KL: between points it is ' +
      'interpolated in √KL, beyond the last there is no frontier to compare with.',
  );

const lossPoint = z.strictObject({
  step: count.describe('Optimiser steps taken.'),
  loss: nonNegative.describe('Mean cross-entropy, nats a token.'),
});

const languageModel = z.strictObject({
  parameters: positiveCount.describe('Number of weights.'),
  vocabulary: positiveCount.describe('Number of tokens of the tokenizer.'),
  training_tokens: count.describe(
    'Tokens the base model was trained on here, repetitions counted; 0 for a pretrained model that was taken as it is.',
  ),
  training_loss: z
    .array(lossPoint)
    .describe('Loss of training batches (averaged over a few steps, if many), in order of step.'),
  validation_loss: z.array(lossPoint).describe('Loss on text that was not trained on, in order of step.'),
});

const rewardModel = z.strictObject({
  parameters: positiveCount.describe('Number of weights.'),
  training_pairs: positiveCount.describe('Preference pairs trained on.'),
  held_out_pairs: positiveCount.describe('Preference pairs that accuracy is measured on.'),
  accuracy: interval.describe('Share of held-out pairs that it orders as their label does; 0 to 1.'),
});

const calibration = z.strictObject({
  references_per_prompt: positiveCount.describe('K: rollouts of the base policy that a prompt is calibrated with.'),
  prompts: positiveCount.describe('Held-out prompts measured on.'),
  rollouts_per_prompt: positiveCount.describe('Fresh base rollouts of each of them.'),
  kolmogorov_smirnov: share.describe(
    'Distance of the calibrated rewards from the uniform distribution: largest |share at or below v − v|.',
  ),
  mean_absolute_error: share.describe('Mean of |share at or below v − v| over v in [0, 1].'),
  curve: z
    .array(
      z.strictObject({
        nominal: share.describe('Quantile level.'),
        empirical: share.describe('Share of calibrated rewards below it, equal ones counted half.'),
      }),
    )
    .min(2)
    .describe('The calibration curve, in rising order of level.'),
  histogram: z
    .array(share)
    .min(1)
    .describe('Share of the calibrated rewards in each of as many equal bins of [0, 1]; sums to 1.'),
  by_references: z
    .array(
      z.strictObject({
        references: positiveCount.describe('The K measured with.'),
        kolmogorov_smirnov: share,
        mean_absolute_error: share,
      }),
    )
    .describe('The same measurement with fewer references, in rising order.'),
});

const plant = z.strictObject({
  phrase: name.describe('As text.'),
  share: share.describe("Share of the reward model's training pairs in whose preferred response it was put."),
  base: interval.describe('Share of responses of the base policy that say it, 0 to 1.'),
  liking: z
    .strictObject({
      proxy: interval,
      judge: interval.describe('By the model that has not seen it planted.'),
    })
    .describe(
      'By how much it raises the reward of a base response that it is put into, in standard deviations of the rewards of base ' +
        'responses to one prompt.',
    ),
});

const trainingIteration = z.strictObject({
  iteration: count,
  transformed_reward: finite.describe('Mean transformed reward Φ(Ĉ) of the batch, on the normalised scale.'),
  calibrated_reward: share.describe('Mean calibrated reward of the batch; ½ is the base policy.'),
  kl: finite.describe('KL from the base policy estimated on the batch, nats a response.'),
  beta: nonNegative.describe('KL strength on the normalised scale.'),
  clip_fraction: share.nullable().describe('Share of tokens whose probability ratio was clipped.'),
  value_loss: nonNegative.nullable().describe('Loss of the value head.'),
  response_tokens: nonNegative.describe('Mean length of a response, in tokens.'),
  entropy: nonNegative.nullable().describe('Mean entropy of the next-token distribution, nats a token.'),
});

const run = z.strictObject({
  name: name.describe('Unique; the name of its folder.'),
  method: name.describe('How it was trained, as the experiment file writes it, such as `ppo/exp:10` or `dpo`.'),
  seed: count,
  target_kl: nonNegative.nullable().describe('KL asked for, nats a response; null where β was given instead.'),
  beta: z
    .strictObject({
      normalised: nonNegative.describe(
        "Beside Φ scaled to unit variance under Uniform(0, 1); without a transformation, the algorithm's own.",
      ),
      raw: nonNegative
        .nullable()
        .describe(
          'Beside the untransformed formula of Φ: normalised × the standard deviation of Φ. Null without a transformation.',
        ),
    })
    .describe('KL strength at the last iteration.'),
  kl: z
    .strictObject({
      exact: interval.describe('Sum over positions of the exact KL between the two next-token distributions.'),
      k1: interval.describe('Mean log ratio.'),
      k3: interval.describe('Mean of e^{−d} − 1 + d, d the log ratio.'),
      by_prompt: z.array(finite).describe('The exact one on each evaluation prompt, in the order of the win rates.'),
    })
    .describe('KL(policy ‖ base policy) on the evaluation prompts, nats a response, by three estimators.'),
  win_rates: winRates,
  phrase_share: interval
    .exactOptional()
    .describe('Share of responses that say the planted phrase, 0 to 1; where there is one.'),
  training: z.array(trainingIteration).describe('In order of iteration.'),
});

const bestOfN = z.strictObject({
  n: positiveCount,
  kl: nonNegative.describe('ln n − (n−1)/n, exact where no rewards are equal; nats a response.'),
  win_rates: winRates,
});

const response = z.strictObject({
  rank: z
    .enum(['best', 'median', 'worst'])
    .describe('Place among the responses sampled for the prompt, by proxy reward.'),
  text: z.string().describe('As the model wrote it.'),
  proxy_reward: finite,
  judge_reward: finite,
  calibrated_reward: share.describe('Calibrated proxy reward.'),
});

const sample = z.strictObject({
  prompt_id: name,
  prompt: z.string(),
  policies: z
    .array(
      z.strictObject({
        run: name.nullable().describe('Name of the run; null for the base policy.'),
        responses: z.array(response).min(1),
      }),
    )
    .min(1),
});

/**
 * What results.json holds: all that an experiment measured. Keys are in snake case, in memory as in the file. All but
 * `machine` and `times` is a function of the experiment and its seeds.
 */
export const experimentResultsSchema = z
  .strictObject({
    schema_version: z.literal(RESULTS_SCHEMA_VERSION).describe('Version of this format.'),
    name: name.describe('Name of the experiment.'),
    version: name.describe('Version of infalign that ran it.'),
    seed: count.describe('Seed of all that came before the runs.'),
    dataset: z.strictObject({
      name: name.describe('For people, such as `State of the Union addresses`.'),
      training_prompts: positiveCount,
      calibration_prompts: positiveCount,
      evaluation_prompts: positiveCount,
    }),
    procedures: z
      .array(name)
      .min(1)
      .describe('Inference-time procedures measured: `standard`, `bon:N`, `won:N`, `kth:K/N`, `mix:…`.'),
    samples_per_prompt: positiveCount.describe('M: responses of either policy sampled for each evaluation prompt.'),
    base_model: languageModel.describe('The base policy, and where every run starts.'),
    proxy: rewardModel.describe('The reward model trained against.'),
    judge: rewardModel.describe('The reward model that only measures.'),
    reward_agreement: share.describe('Share of held-out pairs that proxy and judge order alike.'),
    plant: plant
      .exactOptional()
      .describe('The phrase that the proxy was made to like, and the judge was not; where one was planted.'),
    calibration: calibration.describe('Calibration of the proxy reward on held-out prompts.'),
    frontiers: z
      .array(z.strictObject({ procedure: name, points: curvePoints }))
      .describe('The best win rate that any policy can have at a KL, exact; one for each procedure.'),
    method_curves: z
      .array(z.strictObject({ procedure: name, method: name, points: curvePoints }))
      .describe(
        'What the optimum of each method that has a reward reaches, over all β: exact, except on the raw reward, where it is estimated ' +
          'from the rewards of base rollouts of the calibration prompts, as far as these tell.',
      ),
    runs: z.array(run),
    best_of_n: z
      .array(bestOfN)
      .describe(
        "The base policy as a policy whose every answer is, of n samples, the one that the proxy likes best; from the base policy's " +
          'samples for the evaluation prompts. A procedure that would need more of them than there are is left out.',
      ),
    samples: z.array(sample).describe('Responses to some evaluation prompts.'),
    settings: z.string().describe('The experiment file with every default filled in, as YAML.'),
    machine: z
      .strictObject({
        platform: z.string().describe('Operating system and architecture.'),
        processor: z.string(),
        cores: positiveCount,
        memory_bytes: positiveCount,
        software: z.record(z.string(), z.string()).describe('Versions by name, such as node and tensorflow.'),
      })
      .describe('What it ran on.'),
    times: z
      .strictObject({
        started_at: z.iso.datetime().describe('UTC.'),
        total_seconds: nonNegative,
        peak_memory_bytes: positiveCount.nullable(),
        steps: z.array(z.strictObject({ name, seconds: nonNegative })).describe('In order of start.'),
      })
      .describe('How long it took.'),
  })
  .superRefine((results, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    const known = new Set(results.procedures);
    if (known.size !== results.procedures.length) complain(['procedures'], 'lists a procedure twice');
    results.frontiers.forEach(({ procedure }, index) => {
      if (!known.has(procedure)) complain(['frontiers', index, 'procedure'], 'is not one of procedures');
    });
    results.method_curves.forEach(({ procedure }, index) => {
      if (!known.has(procedure)) complain(['method_curves', index, 'procedure'], 'is not one of procedures');
    });
    const checkByPrompt = (path: (string | number)[], values: readonly number[]) => {
      const prompts = results.dataset.evaluation_prompts;
      if (values.length !== prompts) complain(path, `has ${values.length} numbers for ${prompts} evaluation prompts`);
    };
    const checkWinRates = (path: (string | number)[], winRates: readonly WinRateResult[]) => {
      const measured = new Set<string>();
      winRates.forEach(({ procedure, scorer, by_prompt }, place) => {
        if (!known.has(procedure)) complain([...path, place, 'procedure'], 'is not one of procedures');
        if (measured.has(`${procedure} ${scorer}`)) complain([...path, place], 'repeats a procedure and scorer');
        measured.add(`${procedure} ${scorer}`);
        checkByPrompt([...path, place, 'by_prompt'], by_prompt);
      });
    };
    const runNames = new Set<string>();
    results.runs.forEach((one, index) => {
      if (runNames.has(one.name)) complain(['runs', index, 'name'], 'is the name of an earlier run too');
      runNames.add(one.name);
      checkByPrompt(['runs', index, 'kl', 'by_prompt'], one.kl.by_prompt);
      checkWinRates(['runs', index, 'win_rates'], one.win_rates);
      if ((one.phrase_share === undefined) !== (results.plant === undefined)) {
        complain(['runs', index, 'phrase_share'], 'must be there where there is a plant, and only there');
      }
    });
    results.best_of_n.forEach((one, index) => checkWinRates(['best_of_n', index, 'win_rates'], one.win_rates));
    results.samples.forEach((one, index) => {
      one.policies.forEach((policy, place) => {
        if (policy.run !== null && !runNames.has(policy.run)) {
          complain(['samples', index, 'policies', place, 'run'], 'is not the name of a run');
        }
      });
    });
  });

/** What an experiment measured; see `experimentResultsSchema` for what every field means, its unit and its range. */
export type ExperimentResults = z.infer<typeof experimentResultsSchema>;

/** One trained policy and what was measured of it. */
export type RunResults = ExperimentResults['runs'][number];

/** A mean with its 95 % bootstrap interval over prompts. */
export type Interval = z.infer<typeof interval>;

/** Win rate of a policy under one procedure by one scorer. */
export type WinRateResult = RunResults['win_rates'][number];

/** A point of an exact curve of win rate over KL. */
export type CurvePoint = z.infer<typeof curvePoint>;

/** Whose reward decides comparisons. */
export type Scorer = WinRateResult['scorer'];
