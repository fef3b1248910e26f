import { leaveOneOut, policyGradientLoss } from '@infalign/rl';
import { indicesByPrompt } from '../batch.js';
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
      const advantages = new Float64Array(returns.length);
      for (const [promptId, indices] of indicesByPrompt(rollouts)) {
        assertSeveral(promptId, indices, 'RLOO needs two or more');
        leaveOneOut(indices.map((index) => returns[index]!)).forEach((advantage, position) => {
          advantages[indices[position]!] = advantage;
        });
      }
      return rollouts.map(({ sequence }, index) => ({
        sequences: [sequence],
        inputs: {
          weights: [
            Float64Array.from(
              logProbs[index]!,
              (_, token) => advantages[index]! * (importanceWeights?.[index]![token] ?? 1),
            ),
          ],
        },
      }));
    },
  };
}
