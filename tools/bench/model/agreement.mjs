/** Greatest difference of log-probabilities and losses on the same weights. */
const tolerance = 1e-4;

/**
 * Checks that two sides compute the same on the same weights: the log-probability of every token.
 *
 * @param {string} what for messages
 * @param {number[][]} ours
 * @param {number[][]} theirs
 * @returns {number} the largest difference
 * @throws Error if it is too large: then there is nothing to compare
 */
export function checkLogProbs(what, ours, theirs) {
  const [a, b] = [ours.flat(), theirs.flat()];
  const difference = Math.max(...a.map((value, index) => Math.abs(value - b[index])));
  if (a.length !== b.length || !(difference <= tolerance)) {
    throw new Error(`${what}: the log-probabilities differ by ${difference}, ${a.length} and ${b.length} of them.`);
  }
  return difference;
}

/**
 * Checks that the first step of training is the same: its loss, and the norm of its gradient relative to its size.
 *
 * @param {string} what for messages
 * @param {{ loss: number, gradientNorm: number }} ours
 * @param {{ loss: number, gradientNorm: number }} theirs
 * @throws Error if they differ
 */
export function checkFirstStep(what, ours, theirs) {
  const loss = Math.abs(ours.loss - theirs.loss);
  const norm = Math.abs(ours.gradientNorm / theirs.gradientNorm - 1);
  if (loss <= tolerance && norm <= tolerance) return;
  throw new Error(`${what}: a step differs: ${JSON.stringify(ours)} and ${JSON.stringify(theirs)}.`);
}
