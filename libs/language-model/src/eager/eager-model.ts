import * as tf from '@tensorflow/tfjs-core';
import { checkShapes, checkWeights, isTrained, type LanguageModelConfig, type Weights } from '../definition.js';
import type { LanguageModel, SampledResponse, SampleRequest, Sequence } from '../language-model.js';
import { checkSampling } from '../token-choice.js';
import { checkPrompts, equalTokens, unpack } from '../token-sequences.js';
import { inChunks, packBatch, type PackedBatch } from './batching.js';
import { decode } from './decoding.js';
import { createEagerTrainer } from './eager-trainer.js';
import { targetLogProbs } from './operations.js';
import { finalNorm, outputProjection, rotaryTensors, transform, type WeightTensor } from './transformer.js';

/** Sequences of one forward pass: what keeps activations in the processor's cache and the overhead of a pass small. */
const forwardChunk = 64;
/** Rows decoded together at most. */
const decodingRows = 1024;

/** A model as the eager executor holds it: what its trainer needs beside the interface. */
export interface EagerModel extends LanguageModel {
  /** The weights as differentiable variables, by name. */
  readonly variables: ReadonlyMap<string, tf.Variable>;
  /** Those of them that are trained. */
  readonly trained: ReadonlyMap<string, tf.Variable>;
  /** The normalised state that each response token is predicted from, shape [n, d]. Call inside `tf.tidy`. */
  responseStates(batch: PackedBatch): tf.Tensor2D;
  /** log π of the batch's response tokens in these states, shape [n]. */
  logProbsIn(states: tf.Tensor2D, batch: PackedBatch, temperature: number): tf.Tensor1D;
  /** The value head in these states, shape [n]. */
  valuesIn(states: tf.Tensor2D): tf.Tensor1D;
  /** The reward head at the last token of each sequence, shape [batch]. */
  rewardsOf(batch: PackedBatch): tf.Tensor1D;
}

/**
 * Holds a model on the tfjs backend in use, and executes it operation by operation.
 *
 * @throws InputError if the weights do not belong to the configuration
 */
export function createEagerModel(config: LanguageModelConfig, weights: Weights): EagerModel {
  checkWeights(config, weights);
  const variables = new Map(
    [...weights].map(([name, { shape, data }]) => [
      name,
      tf.tidy(() => tf.variable(tf.tensor(data, [...shape], 'float32'))),
    ]),
  );
  const trained = new Map([...variables].filter(([name]) => isTrained(config, name)));
  const tables = rotaryTensors(config);
  const weight: WeightTensor = (name) => {
    const variable = variables.get(name);
    if (!variable) throw new Error(`this model has no ${name}`);
    return variable;
  };
  const states = (batch: PackedBatch, positions: Int32Array): tf.Tensor2D => {
    const x = transform(config, weight, tables, tf.tensor1d(batch.tokens, 'int32'), batch.batch);
    return finalNorm(config, weight, tf.gather(x, tf.tensor1d(positions, 'int32')));
  };
  const column = (states: tf.Tensor2D, name: string): tf.Tensor1D =>
    tf.reshape(tf.matMul(states, weight(name) as tf.Tensor2D, false, true), [-1]);
  const forward = <T>(sequences: readonly Sequence[], compute: (batch: PackedBatch) => T[]): T[] =>
    inChunks(sequences, forwardChunk, (chunk) => {
      tf.engine().startScope();
      try {
        return compute(packBatch(config, chunk));
      } finally {
        tf.engine().endScope();
      }
    });
  const logits = (model: EagerModel, batch: PackedBatch, temperature: number): tf.Tensor2D =>
    tf.matMul(
      tf.div(model.responseStates(batch), temperature),
      outputProjection(model.config, (name) => model.variables.get(name)!),
      false,
      true,
    );

  const model: EagerModel = {
    config,
    variables,
    trained,
    responseStates: (batch) => states(batch, batch.statePositions),
    logProbsIn: (states, batch, temperature) =>
      targetLogProbs(
        tf.div(states, temperature),
        outputProjection(config, weight),
        tf.tensor1d(batch.targets, 'int32'),
      ),
    valuesIn: (states) => tf.add(column(states, 'value_head.weight'), weight('value_head.bias')),
    rewardsOf: (batch) => column(states(batch, batch.lastPositions), 'score.weight'),

    sample(requests, settings) {
      checkSampling(settings);
      checkPrompts(config, requests);
      return decodingBatches(requests, decodingRows).flatMap(({ batch, samples }): SampledResponse[] =>
        decode(config, weight, tables, batch, samples, settings),
      );
    },
    responseLogProbs: (sequences, temperature) =>
      forward(sequences, (batch) =>
        unpack(model.logProbsIn(model.responseStates(batch), batch, temperature).dataSync<'float32'>(), batch.lengths),
      ),
    logDistributions: (sequences, temperature) =>
      forward(sequences, (batch) =>
        unpack(tf.logSoftmax(logits(model, batch, temperature)).dataSync<'float32'>(), batch.lengths, config.vocabSize),
      ),
    tokenKl: (reference, sequences, temperature) =>
      forward(sequences, (batch) => {
        const own = tf.logSoftmax(logits(model, batch, temperature));
        const other = tf.logSoftmax(logits(eager(reference), batch, temperature));
        const divergence = tf.sum(tf.mul(tf.exp(own), tf.sub(own, other)), 1);
        return unpack(divergence.dataSync<'float32'>(), batch.lengths);
      }),
    values: (sequences) =>
      forward(sequences, (batch) =>
        unpack(model.valuesIn(model.responseStates(batch)).dataSync<'float32'>(), batch.lengths),
      ),
    rewards: (sequences) =>
      Float32Array.from(forward(sequences, (batch) => Array.from(model.rewardsOf(batch).dataSync()))),

    weights: () =>
      new Map(
        [...trained].map(([name, variable]) => [
          name,
          { shape: variable.shape, data: Float32Array.from(variable.dataSync()) },
        ]),
      ),
    load: (weights) => {
      checkShapes(
        [...trained].map(([name, { shape }]) => [name, shape] as const),
        weights,
      );
      for (const [name, variable] of trained) {
        const { shape, data } = weights.get(name)!;
        tf.tidy(() => variable.assign(tf.tensor(data, [...shape], 'float32')));
      }
    },
    trainer: (loss, adam) => createEagerTrainer(model, loss, adam),
    dispose: () => {
      for (const variable of variables.values()) variable.dispose();
      tables.cos.dispose();
      tables.sin.dispose();
    },
  };
  return model;
}

function eager(model: LanguageModel): EagerModel {
  if (!('variables' in model)) throw new Error('both models must be held by the same executor');
  return model as EagerModel;
}

/**
 * Cuts requests into batches in which every prompt has the same number of consecutive requests, of a bounded number of
 * rows: prompts are shared where they can be.
 */
function decodingBatches(
  requests: readonly SampleRequest[],
  maxRows: number,
): { batch: SampleRequest[]; samples: number }[] {
  const runs: SampleRequest[][] = [];
  for (const request of requests) {
    const run = runs.at(-1);
    if (run && run.length < maxRows && equalTokens(run[0]!.promptTokens, request.promptTokens)) run.push(request);
    else runs.push([request]);
  }
  const batches: { batch: SampleRequest[]; samples: number }[] = [];
  for (const run of runs) {
    const last = batches.at(-1);
    if (last && last.samples === run.length && last.batch.length + run.length <= maxRows) last.batch.push(...run);
    else batches.push({ batch: [...run], samples: run.length });
  }
  return batches;
}
