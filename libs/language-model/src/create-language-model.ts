import * as tf from '@tensorflow/tfjs-core';
import type { LanguageModelConfig, Weights } from './definition.js';
import { createEagerModel } from './eager/eager-model.js';
import { createGraphModel } from './graph/graph-model.js';
import type { LanguageModel } from './language-model.js';

/**
 * Holds a model on the tfjs backend in use: executed as graphs where it is TensorFlow's native library, operation by operation
 * elsewhere.
 *
 * @throws InputError if the weights do not belong to the configuration
 */
export function createLanguageModel(config: LanguageModelConfig, weights: Weights): LanguageModel {
  return tf.getBackend() === 'tensorflow' ? createGraphModel(config, weights) : createEagerModel(config, weights);
}
