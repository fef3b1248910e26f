/**
 * Rows of tokens, the same every time, and never token 0.
 *
 * @param {number} vocabSize
 * @param {number} rows
 * @param {number} length
 */
export function randomTokens(vocabSize, rows, length) {
  let state = 1;
  const next = () => {
    // The multiplier is that of Park and Miller's generator.
    state = (state * 48_271) % 2_147_483_647;
    return 1 + (state % (vocabSize - 1));
  };
  return Array.from({ length: rows }, () => Array.from({ length }, next));
}
