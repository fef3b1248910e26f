import { publishCheckpoint, readCheckpoint } from '@infalign/checkpoint';
import {
  pretrainedFiles,
  readPretrained,
  type LanguageModelConfig,
  type Pretrained,
  type Weights,
} from '@infalign/language-model';
import type { Experiment } from '@infalign/run-config';

/** A model as a step left it: a Hugging Face folder, and the hash of its content. */
export interface StoredModel extends Pretrained {
  readonly contentHash: string;
}

/** Stores a model in a folder that Python's transformers loads as it is. @returns its content hash */
export function storeModel(folder: string, model: Pretrained): string {
  return publishCheckpoint(folder, pretrainedFiles(model), null);
}

/** Reads a model that `storeModel` stored, verified. */
export function readModel(folder: string): StoredModel {
  const { files, contentHash } = readCheckpoint(folder);
  return { ...readPretrained(files, folder), contentHash };
}

/** The configuration of a model that the experiment file describes. */
export function modelConfig(
  architecture: Experiment['model'] | Experiment['judge']['model'],
  vocabSize: number,
  eosTokenId: number,
): LanguageModelConfig {
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
