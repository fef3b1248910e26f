export { annotateRollouts, type RolloutMeasure } from './rewards/annotate-rollouts.js';
export { writeFileAtomically } from './rewards/atomic-output.js';
export type { JoinOptions } from './rewards/join-options.js';
export { joinRewards, type RewardPair } from './rewards/join-rewards.js';
export type { ProgressListener } from './rewards/lines.js';
