import { readFileSync, writeFileSync } from 'node:fs';
import '@tensorflow/tfjs-node';
import { describe, expect, it } from 'vitest';
import { initialWeights, type LanguageModelConfig } from '../definition.js';
import type { Loss, Sequence } from '../language-model.js';
import { createGraphModel } from './graph-model.js';
import { batchShape } from './shared-batch.js';
import { trainingBytes } from './training-memory.js';

const config: LanguageModelConfig = {
  vocabSize: 50,
  hiddenSize: 64,
  intermediateSize: 256,
  layers: 10,
  heads: 4,
  keyValueHeads: 2,
  maxPositions: 512,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};
const textLoss: Loss = {
  inputs: {},
  compute: (math, { logProbs }) => ({ loss: math.negative(math.mean(logProbs())) }),
};
const sequence: Sequence = { promptTokens: [1], responseTokens: new Array<number>(511).fill(2) };

/** Resident memory of this process, now (VmRSS) or at most so far (VmHWM), in bytes. */
function memory(field: 'VmRSS' | 'VmHWM'): number {
  if (field === 'VmRSS') writeFileSync('/proc/self/clear_refs', '5'); // Lowers the other to this.
  return 1024 * Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(readFileSync('/proc/self/status', 'utf8'))![1]);
}

describe.skipIf(process.platform !== 'linux')('the memory of a training pass', () => {
  it('is about what is estimated, and with layers computed again a small part of it', () => {
    const weights = initialWeights(config, ['language-model'], 1);
    const models = [1, Infinity].map((passBytes) => createGraphModel(config, weights, { passBytes }));
    const steps = models.map((model) => {
      const trainer = model.trainer(textLoss, { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 });
      return (sequence: Sequence) =>
        trainer.step([sequence], {}, { learningRate: 0, maxGradientNorm: 1, temperature: 1 });
    });
    // Graphs are prepared when they first run, which takes memory of its own.
    for (const step of steps) step({ promptTokens: [1], responseTokens: [2] });
    const before = memory('VmRSS');
    // The smaller one first: memory that was used once may stay with the process.
    const [again, whole] = steps.map((step) => {
      step(sequence);
      return memory('VmHWM') - before;
    });
    const estimate = trainingBytes(config, batchShape([sequence], { withLast: false, whole: true }), {
      recompute: false,
      withLogits: true,
    });
    expect(whole! / estimate).toBeGreaterThan(0.7);
    expect(whole! / estimate).toBeLessThan(1.3);
    expect(again! / whole!).toBeLessThan(0.45);
    for (const model of models) model.dispose();
  });
});
