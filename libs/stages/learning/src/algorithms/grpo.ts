import { clipFraction, groupRelativeAdvantages, groupRelativeLoss } from '@infalign/rl';
import { weighted, withinPrompts } from '../batch.js';
import type { LearningAlgorithm } from './algorithm.js';

/**
 * Group relative policy optimisation (Shao et al., arXiv 2402.03300), as published: rewards are scaled to unit variance prompt by
 * prompt, so that β means something else on every prompt, and the KL is estimated in the loss.
 */
export function grpo({
  clipEpsilon,
}: {
  /** Clip range of the probability ratio. */
  readonly clipEpsilon: number;
}): LearningAlgorithm<'oldLogProbs' | 'referenceLogProbs' | 'advantages' | 'responseWeights' | 'beta'> {
  return {
    loss: {
      inputs: {
        oldLogProbs: 'response token',
        referenceLogProbs: 'response token',
        advantages: 'response token',
        responseWeights: 'response token',
        beta: 'response token',
      },
      compute(math, outputs, tokens) {
        const logProbs = outputs.logProbs();
        return {
          loss: groupRelativeLoss(math, logProbs, tokens, clipEpsilon),
          clipFraction: clipFraction(math, logProbs, tokens.oldLogProbs, clipEpsilon),
        };
      },
    },
    examples({ rollouts, logProbs, referenceLogProbs, importanceWeights, beta }) {
      const rewards = rollouts.map(({ transformedReward }) => transformedReward);
      const advantages = withinPrompts(rollouts, rewards, groupRelativeAdvantages);
      const meanLength = logProbs.reduce((sum, { length }) => sum + length, 0) / logProbs.length;
      return rollouts.map(({ sequence }, index) => {
        const { length } = logProbs[index]!;
        const everywhere = (value: number): Float64Array => new Float64Array(length).fill(value);
        return {
          sequences: [sequence],
          inputs: {
            oldLogProbs: [logProbs[index]!],
            referenceLogProbs: [referenceLogProbs[index]!],
            advantages: [weighted(everywhere(advantages[index]!), importanceWeights?.[index])],
            responseWeights: [everywhere(meanLength / length)],
            beta: [everywhere(beta)],
          },
        };
      });
    },
  };
}
