import type { LanguageModelConfig } from '../definition.js';
import type { Sequence } from '../language-model.js';
import { checkSequences } from '../token-sequences.js';

/** Sequences as one array of tokens, padded on the right, and where their responses lie in it. */
export interface PackedBatch {
  readonly batch: number;
  /** Tokens of each row. */
  readonly time: number;
  /** Shape [batch·time]; padding is token 0. */
  readonly tokens: Int32Array;
  /** For every response token, the row of the state that it is predicted from: the position before it. */
  readonly statePositions: Int32Array;
  /** Every response token, in the order of `statePositions`. */
  readonly targets: Int32Array;
  /** For every sequence, the row of its last token. */
  readonly lastPositions: Int32Array;
  /** Response tokens of each sequence. */
  readonly lengths: Int32Array;
}

/**
 * Packs sequences for one forward pass.
 *
 * @throws Error if a sequence is none of the model's
 */
export function packBatch(config: LanguageModelConfig, sequences: readonly Sequence[]): PackedBatch {
  checkSequences(config, sequences);
  const time = sequences.reduce(
    (longest, { promptTokens, responseTokens }) => Math.max(longest, promptTokens.length + responseTokens.length),
    0,
  );
  const total = sequences.reduce((sum, { responseTokens }) => sum + responseTokens.length, 0);
  const tokens = new Int32Array(sequences.length * time);
  const statePositions = new Int32Array(total);
  const targets = new Int32Array(total);
  const lastPositions = new Int32Array(sequences.length);
  const lengths = new Int32Array(sequences.length);
  let next = 0;
  sequences.forEach(({ promptTokens, responseTokens }, row) => {
    const start = row * time;
    tokens.set(promptTokens, start);
    tokens.set(responseTokens, start + promptTokens.length);
    targets.set(responseTokens, next);
    for (let index = 0; index < responseTokens.length; index++) {
      statePositions[next++] = start + promptTokens.length + index - 1;
    }
    lastPositions[row] = start + promptTokens.length + responseTokens.length - 1;
    lengths[row] = responseTokens.length;
  });
  return { batch: sequences.length, time, tokens, statePositions, targets, lastPositions, lengths };
}

/**
 * Cuts sequences into chunks that fit into memory, and calls a function for each.
 *
 * @param size sequences a chunk
 */
export function inChunks<T>(
  sequences: readonly Sequence[],
  size: number,
  compute: (chunk: readonly Sequence[]) => T[],
): T[] {
  const results: T[] = [];
  for (let start = 0; start < sequences.length; start += size) {
    for (const result of compute(sequences.slice(start, start + size))) results.push(result);
  }
  return results;
}
