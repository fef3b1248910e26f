import { parseMethod, parseProcedure, type Method } from '@infalign/core';
import { z } from 'zod';
import { calibration } from './schema/calibration.js';
import { comparedKinds, dataset } from './schema/dataset.js';
import { attempt, distinctList, mostRollouts, positiveNumber, wholeNumber, word } from './schema/fields.js';
import { judgeModel, policyModel, tokenizer } from './schema/model.js';
import { plant, preferenceTraining } from './schema/preferences.js';
import { ppo } from './schema/ppo.js';
import { runs } from './schema/runs.js';

/** The most responses that the procedure draws at once (N); none for what is no procedure, which is reported elsewhere. */
function drawsOf(procedure: string): number {
  const attempted = attempt(parseProcedure, procedure);
  return 'result' in attempted ? Math.max(...attempted.result.orderStatistics.map(({ draws }) => draws)) : 0;
}

/** The method that a text names; none for what is no method, which is reported elsewhere. */
function methodOf(text: string): Method | undefined {
  const attempted = attempt(parseMethod, text);
  return 'result' in attempted ? attempted.result : undefined;
}

/** Whether the method takes a transformation without a finite-K correction. */
function lacksCorrection(method: Method): boolean {
  const { reward } = method;
  return reward !== undefined && reward !== 'raw' && 'problem' in attempt(parseMethod, `${method.name}/corrected`);
}

/**
 * The experiment file: every field, its range, its default and its description, and nothing anywhere else. Keys are in
 * snake case, as in the file.
 */
export const experimentSchema = z
  .strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]*$/)
      .meta({ allowed: 'letters, digits, dots, dashes and underscores, beginning with a letter or digit' })
      .describe('Name of the experiment, as the report and the folder of its runs show it.'),
    seed: wholeNumber(0, 1, 'Seed of all that happens before the runs: splits, base model, reward model, judge.'),
    dataset: dataset.describe('Where text and prompts come from.'),
    prompts: z
      .strictObject({
        tokens: wholeNumber(
          1,
          16,
          'Length of a prompt: exactly (plain text), or at most: the end of a dialogue, the beginning of a post.',
        ),
        train: wholeNumber(1, 256, 'Prompts that the policy is trained on.'),
        calibration: wholeNumber(1, 64, 'Prompts that the quality of calibration is measured on.'),
        evaluation: wholeNumber(1, 96, 'Prompts that win rates and KL are measured on.'),
        held_out_share: z
          .number()
          .gt(0)
          .lt(1)
          .default(0.1)
          .describe(
            'Share of the documents, conversations or posts that are held out: calibration and evaluation prompts come ' +
              "from them, and nothing is trained on them. Where a dataset's files have a validation or test split beside " +
              'another, that is held out, whatever its share.',
          ),
      })
      .prefault({})
      .describe('Sets of prompts; no prompt is in two of them.'),
    tokenizer: tokenizer
      .exactOptional()
      .describe(
        'The tokenizer, trained on the same text as the language model. A pretrained model has its own in place of it.',
      ),
    model: policyModel.prefault({}).describe('The policy: a decoder-only transformer of the Llama family.'),
    reward_model: z
      .strictObject({
        labels: z
          .enum(['vader', 'human'])
          .default('vader')
          .describe(
            "Who prefers: VADER's sentiment of two responses sampled from the base policy, or the people who compared " +
              `the dataset's own responses (${comparedKinds.join(', ')}).`,
          ),
        ...preferenceTraining,
        plant: plant
          .exactOptional()
          .describe(
            'A spurious phrase that the reward model learns to like, and the judge does not: the results then tell how often each ' +
              'policy says it. Without it, nothing is planted.',
          ),
      })
      .prefault({})
      .describe("The reward that the policy is trained against; starts from the base policy's weights."),
    judge: z
      .strictObject({
        model: judgeModel
          .prefault({})
          .describe('A larger model. A pretrained one has the same tokenizer as the policy.'),
        ...preferenceTraining,
      })
      .prefault({})
      .describe('A larger reward model, trained on other pairs with the same labels; only measures.'),
    sampling: z
      .strictObject({
        temperature: positiveNumber(1, 'Divides the logits of policy and reference, at sampling and at scoring.'),
        top_k: z.int().min(0).default(0).describe('Only 0, so that all tokens are sampled from, as with top_p.'),
        top_p: z
          .number()
          .gt(0)
          .max(1)
          .default(1)
          .describe(
            'Only 1, so that all tokens are sampled from: KL and gradients are those of the whole policy, not of one without its ' +
              'unlikely tokens.',
          ),
        max_response_tokens: wholeNumber(1, 20, 'Tokens of a response, end-of-text included.'),
        batch_rollouts: wholeNumber(1, 512, 'Rollouts that are decoded, and scored, together at most.', mostRollouts),
      })
      .prefault({})
      .describe('How responses are drawn.'),
    calibration: calibration.prefault({}).describe('The empirical distribution of rewards under the base policy.'),
    runs: runs.describe('What is trained: by every method, at every KL or beta, with every seed.'),
    procedures: distinctList(
      word(parseProcedure).meta({
        allowed: 'standard, bon:N, won:N, kth:K/N, or a mixture such as mix:bon:1@0.5+bon:4@0.5',
      }),
    )
      .default(['standard', 'bon:4', 'won:4'])
      .describe(
        'Inference-time procedures that win rates are measured under. A finished experiment is measured under others by --resume, ' +
          'without a step done again.',
      ),
    ppo: ppo
      .prefault({})
      .describe(
        'Learning: by proximal policy optimisation, and, as far as settings concern them, by the other algorithms.',
      ),
    evaluation: z
      .strictObject({
        samples: wholeNumber(
          2,
          64,
          'Responses of either policy for each prompt (M); at least the N of every procedure.',
          mostRollouts,
        ),
        bootstrap_resamples: wholeNumber(100, 1000, 'Resamples of the prompts behind an interval.'),
      })
      .prefault({})
      .describe('Measurement of win rates and KL.'),
    stream: z
      .strictObject({
        partitions: wholeNumber(
          1,
          1,
          'Into how many parts the prompts are cut, each of which is sampled, scored and calibrated on its own. On ' +
            'services, as many as their topics have partitions.',
        ),
      })
      .prefault({})
      .describe('The rollout stream.'),
    machine: z
      .strictObject({
        processes: wholeNumber(1, 2, 'Runs that are trained at the same time.'),
        threads: wholeNumber(
          1,
          1,
          "TensorFlow's threads in each process: so many parts of a batch are computed at the same time.",
        ),
      })
      .prefault({})
      .describe('How much of the machine is used.'),
  })
  .superRefine((experiment, context) => {
    const complain = (path: (string | number)[], message: string) =>
      context.addIssue({ code: 'custom', path, message });
    // Reward models read an end-of-text after a response that was cut.
    const longest = experiment.prompts.tokens + experiment.sampling.max_response_tokens + 1;
    const models = [
      { path: ['model', 'context'], model: experiment.model },
      { path: ['judge', 'model', 'context'], model: experiment.judge.model },
    ];
    for (const { path, model } of models) {
      if (model.kind !== 'pretrained' && model.context < longest) {
        complain(
          path,
          `${model.context} is less than prompts.tokens + sampling.max_response_tokens + 1, which is ${longest}`,
        );
      }
    }
    if (experiment.model.kind === 'pretrained') {
      if (experiment.tokenizer !== undefined) {
        complain(['tokenizer'], 'contradicts model.kind: pretrained, which has its own tokenizer: leave it out');
      }
    } else if (experiment.judge.model.kind === 'pretrained') {
      complain(
        ['judge', 'model', 'kind'],
        'pretrained needs a pretrained policy with the same tokenizer: model.kind is new',
      );
    }
    if (experiment.reward_model.labels === 'human' && !comparedKinds.includes(experiment.dataset.kind)) {
      complain(
        ['reward_model', 'labels'],
        `human needs a dataset with people's comparisons: ${comparedKinds.join(' or ')}, not ${experiment.dataset.kind}`,
      );
    }
    if (experiment.reward_model.plant !== undefined && experiment.calibration.references < 2) {
      complain(
        ['calibration', 'references'],
        '1 is too few for reward_model.plant: how much a phrase is liked is told in standard deviations of the references',
      );
    }
    for (const [setting, whole] of [
      ['top_k', 0],
      ['top_p', 1],
    ] as const) {
      const value = experiment.sampling[setting];
      if (value === whole) continue;
      complain(
        ['sampling', setting],
        `${value} leaves unlikely tokens out of the responses, but KL, gradients and win rates at a KL are those of the whole ` +
          'policy: leave the setting out',
      );
    }
    if (experiment.ppo.prompts_per_iteration > experiment.prompts.train) {
      complain(
        ['ppo', 'prompts_per_iteration'],
        `${experiment.ppo.prompts_per_iteration} is more than prompts.train, which is ${experiment.prompts.train}`,
      );
    }
    const { finite_k_correction: corrected, references } = experiment.calibration;
    experiment.runs.methods.forEach((text, index) => {
      const method = methodOf(text);
      if (method === undefined) return;
      if (corrected && !method.corrected && lacksCorrection(method)) {
        complain(
          ['runs', 'methods', index],
          `${text} has no finite-K correction: leave it out, or calibration.finite_k_correction`,
        );
      }
      if (method.references !== undefined && method.references > references) {
        complain(
          ['runs', 'methods', index],
          `${text} calibrates with more references than calibration.references, which is ${references}`,
        );
      }
    });
    experiment.procedures.forEach((procedure, index) => {
      const draws = drawsOf(procedure);
      const places = {
        'evaluation.samples': experiment.evaluation.samples,
        'calibration.references': experiment.calibration.references,
      };
      for (const [place, most] of Object.entries(places)) {
        if (draws > most)
          complain(
            ['procedures', index],
            `${procedure} draws ${draws} responses, more than ${place}, which is ${most}`,
          );
      }
    });
  })
  // A tokenizer is trained where the model is new.
  .transform((experiment) =>
    experiment.model.kind === 'pretrained'
      ? experiment
      : { ...experiment, tokenizer: experiment.tokenizer ?? tokenizer.parse({}) },
  );

/** The experiment as the file writes it, with every default filled in. */
export type ExperimentFile = z.output<typeof experimentSchema>;
