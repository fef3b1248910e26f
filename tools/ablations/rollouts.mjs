import { judgedSequence } from '@infalign/language-model';

/** Sequences that are computed together. */
const together = 512;

/**
 * Responses of a policy to one prompt.
 *
 * @param {import('@infalign/language-model').LanguageModel} policy
 * @param {{ id: string, tokens: readonly number[] }} prompt
 * @param {number} count
 * @param {{ seed: readonly (string | number)[], sampling: import('@infalign/language-model').SamplingSettings }} options
 *   seed: together with prompt and number it decides each response
 * @returns {Int32Array[]} token ids
 */
export function sampleResponses(policy, prompt, count, { seed, sampling }) {
  const requests = Array.from({ length: count }, (_, index) => ({
    promptTokens: prompt.tokens,
    randomSeed: ['ablations', ...seed, prompt.id, index],
  }));
  return inBatches(requests, (batch) => policy.sample(batch, sampling)).map(({ responseTokens }) => responseTokens);
}

/**
 * Responses of a policy to one prompt that begin with given tokens.
 *
 * @param {import('@infalign/language-model').LanguageModel} policy
 * @param {{ id: string, tokens: readonly number[] }} prompt
 * @param {readonly Int32Array[]} prefixes all of one length, less than the maximum of a response, without end-of-text
 * @param {number} count responses with each prefix
 * @param {Parameters<typeof sampleResponses>[3]} options
 * @returns {Int32Array[]} whole responses, those with the first prefix first
 */
export function sampleContinuations(policy, prompt, prefixes, count, { seed, sampling }) {
  const requests = prefixes.flatMap((prefix, number) =>
    Array.from({ length: count }, (_, index) => ({
      promptTokens: [...prompt.tokens, ...prefix],
      randomSeed: ['ablations', ...seed, prompt.id, prefix.length, number, index],
    })),
  );
  const settings = { ...sampling, maxResponseTokens: sampling.maxResponseTokens - (prefixes[0]?.length ?? 0) };
  const continuations = inBatches(requests, (batch) => policy.sample(batch, settings));
  return continuations.map(({ responseTokens }, index) =>
    Int32Array.of(...prefixes[Math.floor(index / count)], ...responseTokens),
  );
}

/**
 * What a reward model makes of responses to one prompt.
 *
 * @param {import('@infalign/language-model').LanguageModel} scorer
 * @param {readonly number[]} promptTokens
 * @param {readonly ArrayLike<number>[]} responses
 * @returns {number[]}
 */
export function scoreResponses(scorer, promptTokens, responses) {
  const sequences = responses.map((responseTokens) => judgedSequence(scorer.config, { promptTokens, responseTokens }));
  return inBatches(sequences, (batch) => Array.from(scorer.rewards(batch)));
}

/** Computes lists of bounded length, one after another. */
export function inBatches(items, compute) {
  const results = [];
  for (let start = 0; start < items.length; start += together) {
    results.push(...compute(items.slice(start, start + together)));
  }
  return results;
}

/**
 * What an action returns, and the processor time that it took: seconds on one core, whatever else the machine does.
 *
 * @template T
 * @param {() => T} action
 * @returns {{ result: T, seconds: number }}
 */
export function timed(action) {
  const start = process.cpuUsage();
  const result = action();
  const { user, system } = process.cpuUsage(start);
  return { result, seconds: (user + system) / 1e6 };
}
