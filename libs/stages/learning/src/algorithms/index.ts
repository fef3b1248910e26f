import type { Algorithm } from '@infalign/core';
import type { LearningAlgorithm } from './algorithm.js';
import { grpo } from './grpo.js';
import { ppo, type PpoSettings } from './ppo.js';
import { bonbon, dpo, ipo, rebel } from './preferences.js';
import { rloo } from './rloo.js';

/** How each algorithm learns. */
export const learningAlgorithms: Readonly<Record<Algorithm, (settings: PpoSettings) => LearningAlgorithm>> = {
  ppo,
  rloo,
  grpo,
  rebel,
  dpo,
  ipo,
  bonbon,
};
