export {
  promptSetNames,
  type Dataset,
  type PreferencePair,
  type Prompt,
  type PromptRequest,
  type PromptSetName,
  type PromptSets,
  type TextCodec,
} from './dataset.js';
export { loadDataset, type DatasetSettings, type LoadOptions } from './load-dataset.js';
export { plantedPhrase, plantPhrase, withPhrase, type PlantedPhrase } from './planted-phrase.js';
export { annotateRollouts, type RolloutMeasure } from './rewards/annotate-rollouts.js';
export { writeFileAtomically } from './rewards/atomic-output.js';
export type { JoinOptions } from './rewards/join-options.js';
export { joinRewards, type RewardPair } from './rewards/join-rewards.js';
export type { ProgressListener } from './rewards/lines.js';
export { readRewards } from './rewards/read-rewards.js';
export { stateOfTheUnionAddresses, type Address } from './state-of-the-union.js';
export { sentiment, vaderPairs, type Response } from './vader-labels.js';
