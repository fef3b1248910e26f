import type { LanguageModelConfig } from './definition.js';
import type { SampleRequest, Sequence } from './language-model.js';

/** @throws Error if a prompt is empty or leaves no position for a response, or a token is not one of the model's */
export function checkPrompts(config: LanguageModelConfig, requests: readonly SampleRequest[]): void {
  for (const { promptTokens } of requests) {
    if (promptTokens.length === 0) throw new Error('a prompt is empty');
    if (promptTokens.length >= config.maxPositions) {
      throw new Error(`a prompt of ${promptTokens.length} tokens leaves no position for a response`);
    }
    checkTokens(config, 'a prompt', promptTokens);
  }
}

/** @throws Error if a prompt or a response is empty, a sequence is longer than the model's positions, or a token is not one of the model's */
export function checkSequences(config: LanguageModelConfig, sequences: readonly Sequence[]): void {
  const { maxPositions } = config;
  for (const { promptTokens, responseTokens } of sequences) {
    if (promptTokens.length === 0 || responseTokens.length === 0) throw new Error('a prompt or a response is empty');
    const length = promptTokens.length + responseTokens.length;
    if (length > maxPositions) {
      throw new Error(`a sequence has ${length} tokens, the model has ${maxPositions} positions`);
    }
    for (const tokens of [promptTokens, responseTokens]) checkTokens(config, 'a sequence', tokens);
  }
}

/** Not left to the library: a GPU takes zeros for a token that there is not. */
function checkTokens({ vocabSize }: LanguageModelConfig, what: string, tokens: ArrayLike<number>): void {
  for (let index = 0; index < tokens.length; index++) {
    const token = tokens[index]!;
    if (!(token >= 0 && token < vocabSize)) {
      throw new Error(`${what} has the token ${token}, the model has ${vocabSize} tokens`);
    }
  }
}

/** Whether two arrays hold the same tokens. */
export function equalTokens(a: ArrayLike<number>, b: ArrayLike<number>): boolean {
  if (a === b) return true;
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/** A string that two prompts share if, and only if, they are the same tokens. */
export function promptKey(tokens: ArrayLike<number>): string {
  return Array.prototype.join.call(tokens, ',');
}

/** Cuts the values of all response tokens, each of so many numbers, into one array a sequence. */
export function unpack(values: Float32Array, lengths: Int32Array, width = 1): Float32Array[] {
  let start = 0;
  return Array.from(lengths, (length) => values.slice(start, (start += length * width)));
}

/** For every response token, which sequence it is of. @param lengths response tokens of each sequence */
export function sequenceOfTokens(lengths: Int32Array): Int32Array {
  const sequences = new Int32Array(lengths.reduce((sum, length) => sum + length, 0));
  let start = 0;
  lengths.forEach((length, sequence) => {
    sequences.fill(sequence, start, (start += length));
  });
  return sequences;
}
