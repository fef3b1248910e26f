import { headSize, type LanguageModelConfig } from '../definition.js';
import type { BatchShape } from './shared-batch.js';

/**
 * About how much memory a training pass takes beside weights and gradients: what its layers compute and their gradients need, the
 * probabilities of all tokens, and what is computed on the way.
 *
 * @param recompute whether layers are computed again for their gradients
 * @param withLogits whether next-token distributions take part
 * @returns bytes
 */
export function trainingBytes(
  config: LanguageModelConfig,
  { groups, promptTime, samples, responseTime, tokens, states }: BatchShape,
  { recompute, withLogits }: { readonly recompute: boolean; readonly withLogits: boolean },
): number {
  const { hiddenSize, intermediateSize, layers, heads, keyValueHeads, vocabSize } = config;
  const keyValueSize = keyValueHeads * headSize(config);
  // Kept of a token: two norms, queries, attention's output, and four of the width of the MLP.
  const ofTokens = tokens * (6 * hiddenSize + 4 * keyValueSize + 4 * intermediateSize);
  // Probabilities of attention, those of responses once whole and once in parts.
  const promptPlaces = groups * heads * promptTime * promptTime;
  const responsePlaces = groups * heads * samples * responseTime * (promptTime + responseTime);
  const ofLayer = ofTokens + promptPlaces + 2 * responsePlaces;
  const kept = recompute ? layers * tokens * hiddenSize : layers * ofLayer;
  // The layer whose gradient is being computed, and of the logits their probabilities and two gradients.
  const passing = 2 * ofLayer + (withLogits ? 3 * states * vocabSize : 0);
  return 4 * (kept + passing);
}
