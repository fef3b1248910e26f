import type { GraphTensor } from './graph.js';
import {
  add,
  addToRows,
  gather,
  inEachRow,
  largest,
  logarithm,
  matMul,
  multiply,
  negative,
  reshape,
  softmax,
  subtract,
  transpose,
  withGradient,
} from './operations.js';
import { product } from './shape.js';

/** A part of logits, `x·weightᵀ`. */
export interface Projection {
  /** Shape [n, d]. */
  readonly x: GraphTensor;
  /** Shape [classes, d]. */
  readonly weight: GraphTensor;
}

/** Logits from their parts: `Σ x·weightᵀ`, shape [n, classes]. @param projections at least one; d may be another in each */
export function projected(projections: readonly Projection[]): GraphTensor {
  return projections.map(({ x, weight }) => matMul(x, weight, { transposeB: true })).reduce((a, b) => add(a, b));
}

/**
 * log-probabilities of labels: `log softmax(l)[label]`, in nats, of logits `l = Σ x·weightᵀ`. From one softmax and two maxima:
 * TensorFlow's own operation for this takes several times as long. No gradient in logits is ever made, which is an array of their
 * size: with p = softmax(l), dx is `dy·(weight[label] − p·weight)` and dweight is `−pᵀ·(dy·x)` with `dy·x` added to the labels' rows.
 *
 * @param projections parts of the logits, at least one
 * @param labels shape [n], int32, each in [0, classes)
 * @returns shape [n]
 */
export function labelLogProbs(projections: readonly Projection[], labels: GraphTensor): GraphTensor {
  const logits = projected(projections);
  const chosen = inEachRow(logits, labels);
  const probabilities = softmax(logits);
  // The largest probability is e^(largest logit − log Σ e^logits), and never too small for its logarithm.
  const logLargest = logarithm(largest(probabilities, { axes: [1] }));
  const logProbs = add(subtract(chosen, largest(logits, { axes: [1] })), logLargest);
  const inputs = [...projections.map(({ x }) => x), ...projections.map(({ weight }) => weight)];
  return withGradient(logProbs, inputs, (dy) => {
    const column = reshape(dy, [...dy.shape, 1]);
    return [
      ...projections.map(({ weight }) =>
        multiply(subtract(gather(weight, labels), matMul(probabilities, weight)), column),
      ),
      ...projections.map(({ x }) => {
        const weighted = multiply(x, column);
        const away = weightGradient(probabilities, negative(weighted));
        return addToRows(away, labels, weighted);
      }),
    ];
  });
}

/**
 * `pᵀ·x`. The library is faster with it turned around, 0.78 of the time for 2,048 classes and d = 128, where to transpose the result costs
 * little: up to some 16 million elements, 64 MiB.
 *
 * @param p shape [n, classes]
 * @param x shape [n, d]
 * @returns shape [classes, d]
 */
function weightGradient(p: GraphTensor, x: GraphTensor): GraphTensor {
  const elements = product(p.shape[1]!, x.shape[1]!);
  const turned = typeof elements === 'number' && elements <= 2 ** 24;
  return turned ? transpose(matMul(x, p, { transposeA: true }), [1, 0]) : matMul(p, x, { transposeA: true });
}
