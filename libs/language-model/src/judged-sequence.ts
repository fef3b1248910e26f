import type { LanguageModelConfig } from './definition.js';
import type { Sequence } from './language-model.js';

/**
 * What a reward model reads of a prompt and a response: both, and an end-of-text where the response has none. The reward is
 * read at the last token. That of a response which was cut at its maximum length says little of the whole, and much of
 * itself; end-of-text is the same for all.
 */
export function judgedSequence(
  { eosTokenId }: LanguageModelConfig,
  { promptTokens, responseTokens }: Sequence,
): Sequence {
  const { length } = responseTokens;
  if (responseTokens[length - 1] === eosTokenId) return { promptTokens, responseTokens };
  const closed = new Int32Array(length + 1);
  closed.set(responseTokens);
  closed[length] = eosTokenId;
  return { promptTokens, responseTokens: closed };
}
