import type { SamplingRequest } from '@infalign/contracts';
import type { LanguageModelConfig } from '@infalign/language-model';

/** Rollouts that a batch may ask for: what a sampler has memory for, decoded together. */
const mostRollouts = 4096;

/** What all requests of a batch have in common, with the names of the contract. */
const ofBatch = [
  ['purpose', 'purpose'],
  ['policyVersion', 'policy_version'],
  ['temperature', 'temperature'],
  ['topK', 'top_k'],
  ['topP', 'top_p'],
  ['maxResponseTokens', 'max_response_tokens'],
] as const satisfies readonly (readonly [keyof SamplingRequest, string])[];

/**
 * What keeps a policy from meeting a request.
 *
 * @param first the first request of its batch, which they are all decoded with
 * @param before rollouts that the requests of its batch before it ask for
 * @returns nothing if it can be met
 */
export function requestProblem(
  request: SamplingRequest,
  first: SamplingRequest,
  config: LanguageModelConfig,
  before: number,
): string | undefined {
  const unknownToken = request.promptTokens.find((token) => token >= config.vocabSize);
  if (unknownToken !== undefined) {
    return `prompt_tokens: token ${unknownToken} is not one of the ${config.vocabSize} of the policy's vocabulary`;
  }
  if (request.promptTokens.length >= config.maxPositions) {
    return (
      `prompt_tokens: ${request.promptTokens.length} tokens leave no room for a response in the policy's ` +
      `${config.maxPositions} positions`
    );
  }
  if (before + request.samples > mostRollouts) {
    return `samples: ${before + request.samples} are more than the ${mostRollouts} that are decoded together`;
  }
  for (const [field, name] of ofBatch) {
    if (request[field] !== first[field]) {
      return `${name}: ${request[field]} is not the ${first[field]} of its batch, which is decoded together`;
    }
  }
  return undefined;
}
