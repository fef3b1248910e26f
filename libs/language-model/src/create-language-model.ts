import type { LanguageModelConfig, Weights } from './definition.js';
import { createEagerModel } from './eager/eager-model.js';
import type { LanguageModel } from './language-model.js';

/**
 * Holds a model on the tfjs backend in use.
 *
 * @throws InputError if the weights do not belong to the configuration
 */
export function createLanguageModel(config: LanguageModelConfig, weights: Weights): LanguageModel {
  return createEagerModel(config, weights);
}
