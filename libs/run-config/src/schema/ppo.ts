import { z } from 'zod';
import { fraction, mostRollouts, positiveNumber, wholeNumber } from './fields.js';

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

export const ppo = z
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
