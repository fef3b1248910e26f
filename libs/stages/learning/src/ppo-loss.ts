import type { Loss } from '@infalign/language-model';
import { clipFraction, clippedPolicyLoss, clippedValueLoss } from '@infalign/rl';

/** What PPO's loss is made with. */
export interface PpoLossSettings {
  /** Clip range of the probability ratio. */
  readonly clipEpsilon: number;
  /** Clip range of the value around its value at sampling. */
  readonly valueClipEpsilon: number;
  /** Weight of the value loss. */
  readonly valueCoefficient: number;
  /** Whether there is a value head to learn. */
  readonly advantages: 'leave_one_out' | 'value';
}

/** Names of what comes with every minibatch, one number for every response token; old values are looked at where values are learned. */
export type PpoInput = 'oldLogProbs' | 'advantages' | 'oldValues' | 'returns';

/** Names of what is reported of every minibatch. */
export type PpoStatistic = 'policyLoss' | 'valueLoss' | 'clipFraction';

/** PPO's loss: that of the policy and, where advantages are taken from a value head, that of the values. */
export function ppoLoss(settings: PpoLossSettings): Loss<PpoInput, PpoStatistic> {
  const { clipEpsilon, valueClipEpsilon, valueCoefficient, advantages: kind } = settings;
  return {
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
      if (kind !== 'value') return { ...statistics, loss: policyLoss, valueLoss: math.multiply(policyLoss, 0) };
      const valueLoss = clippedValueLoss(math, outputs.values(), oldValues, returns, valueClipEpsilon);
      return { ...statistics, loss: math.add(policyLoss, math.multiply(valueCoefficient, valueLoss)), valueLoss };
    },
  };
}
