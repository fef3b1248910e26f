import type { PpoSettings } from './algorithms/ppo.js';
import type { LearningSettings } from './policy-learner.js';

/** All settings of learning. */
export type AllSettings = LearningSettings & PpoSettings;

/** Settings with which small models learn quickly. */
export const quickSettings: AllSettings = {
  iterations: 200,
  epochs: 1,
  minibatches: 2,
  learningRate: 3e-3,
  clipEpsilon: 0.2,
  valueClipEpsilon: 0.2,
  valueCoefficient: 0.1,
  gamma: 1,
  gaeLambda: 0.95,
  maxGradientNorm: 1,
  criticLearningRate: 1e-3,
  maxImportanceWeight: 2,
  advantages: 'leave_one_out',
};
