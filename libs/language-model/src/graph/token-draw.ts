import {
  add,
  cast,
  cumulativeSum,
  inEachRow,
  largest,
  lessEqual,
  logarithm,
  multiply,
  reshape,
  sum,
  type GraphTensor,
} from '@infalign/tensor-graph';
import { blockSize } from '../token-choice.js';

/** The largest uniform number that is given: times a sum it stays below the sum, also when it is rounded. */
export const mostUniform = 1 - 2 ** -23;

/**
 * Draws a token of every row as `drawToken` does, up to rounding.
 *
 * @param probabilities shape [rows, vocabulary], of a softmax: where one of a row is not finite, none is
 * @param blockUniforms for each row a number in [0, `mostUniform`], by which a block of tokens is drawn, shape [rows]
 * @param tokenUniforms the same, by which one of its tokens is drawn
 * @returns the tokens and their log-probabilities, shape [rows] each; a log-probability is not finite where the row's probabilities are not
 */
export function drawnTokens(
  probabilities: GraphTensor,
  blockUniforms: GraphTensor,
  tokenUniforms: GraphTensor,
): { readonly tokens: GraphTensor; readonly logProbs: GraphTensor } {
  const { graph } = probabilities;
  const [rows, vocabulary] = probabilities.shape as readonly [string, number];
  const size = blockSize(vocabulary);
  const blocks = vocabulary / size;
  const byBlock = reshape(probabilities, [rows, blocks, size]);
  const block = firstAbove(sum(byBlock, { axes: [2] }), blockUniforms);
  const within = firstAbove(inEachRow(byBlock, block), tokenUniforms);
  const tokens = add(multiply(block, graph.size(size)), within);
  return { tokens, logProbs: logarithm(inEachRow(probabilities, tokens)) };
}

/** In every row the first place up to which weights add up to more than a part of their sum. @param uniforms the parts */
function firstAbove(weights: GraphTensor, uniforms: GraphTensor): GraphTensor {
  const upTo = cumulativeSum(weights);
  // Sums do not fall: the largest is the last.
  const total = largest(upTo, { axes: [1], keep: true });
  const threshold = multiply(total, reshape(uniforms, [uniforms.shape[0]!, 1]));
  return cast(sum(cast(lessEqual(upTo, threshold), 'float32'), { axes: [1] }), 'int32');
}
