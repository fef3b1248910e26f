import { parseMethod } from '@infalign/core';
import { z } from 'zod';
import { distinctList, word } from './fields.js';

export const runs = z
  .strictObject({
    methods: distinctList(
      word(parseMethod).meta({
        allowed:
          'ppo/REWARD, rloo/REWARD, grpo/REWARD, rebel/REWARD, dpo, ipo or bonbon, with a REWARD of raw, identity, log, exp:T, or ' +
          'fp:PROCEDURE, the best transformation for a procedure; a transformation may be followed by /k:K and /corrected',
      }),
    )
      .default(['ppo/identity', 'ppo/exp:10', 'ppo/exp:-10'])
      .describe(
        'How policies are trained: an algorithm, and what it takes as the reward; each is one curve. `ppo` on the calibrated ' +
          'reward, transformed, is InfAlign-CTRL; `ppo/log` is also vBoN. `/k:8` calibrates with 8 of the references of each prompt, ' +
          '`/corrected` takes out the bias of a finite number of them. `rebel` and those without a reward compare rollouts of the ' +
          'base policy, as many as the others learn from.',
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
