import type { LanguageModelConfig, Weights } from '@infalign/language-model';
import type { Experiment } from '@infalign/run-config';

type NewModel = Exclude<Experiment['model'], { readonly kind: 'pretrained' }>;

/** The configuration of a new model that the experiment file describes. */
export function modelConfig(architecture: NewModel, vocabSize: number, eosTokenId: number): LanguageModelConfig {
  return {
    vocabSize,
    hiddenSize: architecture.hiddenSize,
    intermediateSize: architecture.intermediateSize,
    layers: architecture.layers,
    heads: architecture.heads,
    keyValueHeads: architecture.keyValueHeads,
    maxPositions: architecture.context,
    ropeTheta: architecture.ropeTheta,
    rmsNormEpsilon: architecture.normEpsilon,
    tieWordEmbeddings: true,
    eosTokenId,
  };
}

/** The number of weights. */
export function parameterCount(weights: Weights): number {
  let count = 0;
  for (const { data } of weights.values()) count += data.length;
  return count;
}
