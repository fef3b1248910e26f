export { clippedImportanceWeights } from './importance.js';
export {
  generalisedAdvantages,
  leaveOneOut,
  leaveOneOutAdvantages,
  returnsToGo,
  whiten,
  type AdvantageEstimate,
  type GeneralisedAdvantageSettings,
} from './advantages.js';
export { binaryCrossEntropyLoss, crossEntropyLoss, preferenceLoss } from './losses.js';
export { offPolicyKl } from './off-policy-kl.js';
export {
  groupRelativeAdvantages,
  groupRelativeLoss,
  policyGradientLoss,
  type GroupRelativeTokens,
} from './policy-gradient.js';
export { bestOfMargin, bonbonLoss, dpoLoss, ipoLoss, type ComparedResponses } from './preference-optimisation.js';
export { clipFraction, clippedPolicyLoss, clippedValueLoss, valueLoss } from './ppo.js';
export { linearSchedule, type LinearScheduleSettings } from './schedules.js';
export { initialTargetKlState, updateTargetKl, type TargetKlState } from './target-kl.js';
export { tokenRewards } from './token-rewards.js';
