import * as tf from '@tensorflow/tfjs-node';
import { createEagerModel } from '../../libs/language-model/src/eager/eager-model.js';

/**
 * Every logit of one sequence, by the eager executor.
 *
 * @param {import('@infalign/language-model').LanguageModelConfig} config
 * @param {import('@infalign/language-model').Weights} weights of a policy
 * @param {readonly number[]} tokens
 * @returns {Float32Array} row-major, [positions, vocabulary]
 */
export function eagerLogits(config, weights, tokens) {
  const model = createEagerModel(config, weights);
  try {
    return tf.tidy(() => {
      const positions = Int32Array.from(tokens.keys());
      const states = model.responseStates({
        batch: 1,
        time: tokens.length,
        tokens: Int32Array.from(tokens),
        statePositions: positions,
        targets: positions,
        lastPositions: Int32Array.of(tokens.length - 1),
        lengths: Int32Array.of(tokens.length),
      });
      const output = model.variables.get('lm_head.weight') ?? model.variables.get('model.embed_tokens.weight');
      return tf.matMul(states, output, false, true).dataSync();
    });
  } finally {
    model.dispose();
  }
}
