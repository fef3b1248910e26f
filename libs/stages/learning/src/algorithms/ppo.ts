import { InputError } from '@infalign/core';
import {
  clipFraction,
  clippedPolicyLoss,
  clippedValueLoss,
  generalisedAdvantages,
  leaveOneOutAdvantages,
  tokenRewards,
  whiten,
  type AdvantageEstimate,
} from '@infalign/rl';
import { flattened, unflattened, weighted, withinPrompts } from '../batch.js';
import type { IterationRollouts, LearningAlgorithm } from './algorithm.js';

/** What PPO is made with. */
export interface PpoSettings {
  /** Clip range of the probability ratio. */
  readonly clipEpsilon: number;
  /** Clip range of the value around its value at sampling. */
  readonly valueClipEpsilon: number;
  /** Weight of the value loss. */
  readonly valueCoefficient: number;
  /** Discount a token. */
  readonly gamma: number;
  /** λ of generalised advantage estimation. */
  readonly gaeLambda: number;
  /**
   * What a rollout is compared with: the mean over its prompt's other rollouts (which needs two or more a prompt, and
   * uses neither gamma, λ nor values), a value head of the policy, or a critic.
   */
  readonly advantages: 'leave_one_out' | 'value' | 'critic';
}

/**
 * PPO: a KL penalty on every token and the reward on the last, advantages whitened over all tokens of an iteration. Rewards are
 * used as they come: whitening them would rescale Φ, and so change β.
 */
export function ppo(settings: PpoSettings): LearningAlgorithm<'oldLogProbs' | 'advantages' | 'oldValues' | 'returns'> {
  const { clipEpsilon, valueClipEpsilon, valueCoefficient, advantages: kind } = settings;
  const valuesFrom = ({ leave_one_out: undefined, value: 'policy', critic: 'critic' } as const)[kind];
  return {
    valuesFrom,
    loss: {
      inputs: {
        oldLogProbs: 'response token',
        advantages: 'response token',
        oldValues: 'response token',
        returns: 'response token',
      },
      compute(math, outputs, { oldLogProbs, advantages, oldValues, returns }) {
        const logProbs = outputs.logProbs();
        const policyLoss = clippedPolicyLoss(math, logProbs, oldLogProbs, advantages, clipEpsilon);
        const statistics = { policyLoss, clipFraction: clipFraction(math, logProbs, oldLogProbs, clipEpsilon) };
        if (valuesFrom !== 'policy') return { ...statistics, loss: policyLoss };
        const valueLoss = clippedValueLoss(math, outputs.values(), oldValues, returns, valueClipEpsilon);
        return { ...statistics, loss: math.add(policyLoss, math.multiply(valueCoefficient, valueLoss)), valueLoss };
      },
    },
    examples(iteration) {
      const { rollouts, logProbs, referenceLogProbs, importanceWeights, values, beta } = iteration;
      const rewards = rollouts.map(({ transformedReward }, index) =>
        tokenRewards(logProbs[index]!, referenceLogProbs[index]!, transformedReward, beta),
      );
      const estimates = values ? againstValues(rewards, values, settings) : againstOthers(rewards, iteration);
      const advantages = unflattened(
        whiten(flattened(estimates.map((each) => each.advantages))),
        rewards.map(({ length }) => length),
      );
      return rollouts.map(({ sequence }, index) => ({
        sequences: [sequence],
        inputs: {
          oldLogProbs: [logProbs[index]!],
          advantages: [weighted(advantages[index]!, importanceWeights?.[index])],
          oldValues: [(values ?? logProbs)[index]!],
          returns: [estimates[index]!.returns],
        },
      }));
    },
  };
}

function againstValues(
  rewards: readonly Float64Array[],
  values: readonly ArrayLike<number>[],
  { gamma, gaeLambda }: PpoSettings,
): AdvantageEstimate[] {
  return rewards.map((each, index) => generalisedAdvantages(each, values[index]!, { discount: gamma, gaeLambda }));
}

function againstOthers(rewards: readonly Float64Array[], { rollouts }: IterationRollouts): AdvantageEstimate[] {
  return withinPrompts(rollouts, rewards, (own, promptId) => {
    assertSeveral(promptId, own, 'leave-one-out advantages need two or more, or set advantages to value');
    return leaveOneOutAdvantages(own);
  });
}

/** @throws InputError where a prompt has one rollout only */
export function assertSeveral(promptId: string, own: readonly unknown[], remedy: string): void {
  if (own.length < 2) throw new InputError(`Prompt ${promptId} has a single rollout: ${remedy}.`);
}
