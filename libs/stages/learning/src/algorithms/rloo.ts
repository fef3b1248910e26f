import { leaveOneOut, policyGradientLoss } from '@infalign/rl';
import { weighted, withinPrompts } from '../batch.js';
import type { LearningAlgorithm } from './algorithm.js';
import { assertSeveral } from './ppo.js';

/**
 * REINFORCE leave-one-out (Ahmadian et al., arXiv 2402.14740, Eq. 8): a response is one action, whose reward less β times its
 * log-ratio is compared with the mean of the prompt's other responses.
 */
export function rloo(): LearningAlgorithm<'weights'> {
  return {
    loss: {
      inputs: { weights: 'response token' },
      compute(math, outputs, { weights }) {
        return { loss: policyGradientLoss(math, outputs.logProbs(), weights) };
      },
    },
    examples({ rollouts, logProbs, referenceLogProbs, importanceWeights, beta }) {
      const returns = rollouts.map(({ transformedReward }, index) => {
        const reference = referenceLogProbs[index]!;
        return Array.from(logProbs[index]!).reduce(
          (sum, logProb, token) => sum - beta * (logProb - reference[token]!),
          transformedReward,
        );
      });
      const advantages = withinPrompts(rollouts, returns, (own, promptId) => {
        assertSeveral(promptId, own, 'RLOO needs two or more');
        return leaveOneOut(own);
      });
      return rollouts.map(({ sequence }, index) => {
        const weights = new Float64Array(logProbs[index]!.length).fill(advantages[index]!);
        return { sequences: [sequence], inputs: { weights: [weighted(weights, importanceWeights?.[index])] } };
      });
    },
  };
}
