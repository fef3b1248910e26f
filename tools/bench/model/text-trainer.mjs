import { crossEntropyLoss } from '@infalign/rl';

/** Trains a model on text: next-token cross-entropy, Adam. @param {import('@infalign/language-model').LanguageModel} model */
export function textTrainer(model) {
  const loss = { inputs: {}, compute: (math, outputs) => ({ loss: crossEntropyLoss(math, outputs.logProbs()) }) };
  return model.trainer(loss, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
}

/** A text to learn, all but its first token. @param {readonly number[]} tokens */
export function textSequence(tokens) {
  return { promptTokens: tokens.slice(0, 1), responseTokens: tokens.slice(1) };
}
