import { NativeTensor } from '@infalign/tensor-graph';
import { sequenceOfTokens } from '../token-sequences.js';
import type { SharedBatch } from './shared-batch.js';

/** The inputs that `sharedTransformer` and the heads above it declare for a batch; their sizes are `batchSizes`. The caller disposes of them. */
export function batchFeeds(batch: SharedBatch): Record<string, NativeTensor> {
  const vector = (elements: Float32Array | Int32Array): NativeTensor => NativeTensor.of(elements, [elements.length]);
  const half = batch.lastTokens.length >> 1;
  return {
    tokens: vector(batch.tokens),
    positions: vector(batch.positions),
    queryKeySource: vector(batch.queryKeySource),
    queryKeyTarget: vector(batch.queryKeyTarget),
    valueSource: vector(batch.valueSource),
    valueTarget: vector(batch.valueTarget),
    outputSource: vector(batch.outputSource),
    promptMask: NativeTensor.of(batch.promptMask, [batch.groups, 1, batch.promptTime]),
    stateTokens: vector(batch.stateTokens),
    targets: vector(batch.targets),
    stateSequences: vector(sequenceOfTokens(batch.lengths)),
    lastTokens: vector(batch.lastTokens),
    chosenTokens: vector(batch.lastTokens.subarray(0, half)),
    rejectedTokens: vector(batch.lastTokens.subarray(half)),
  };
}

/** The inputs of `sharedTransformer` that are sizes. */
export function batchSizes({ whole, groups, promptTime, samples, responseTime }: SharedBatch): Record<string, number> {
  return whole ? { groups, promptTime } : { groups, promptTime, samples, responseTime };
}
