import type { SampledRollout, SamplingRequest } from '@infalign/contracts';
import type { SampledResponse, SampleRequest } from '@infalign/language-model';

/** The rows of a decoding batch that one request asks for: the same prompt, each with its own stream of random numbers. */
export function sampleRequests(request: SamplingRequest): SampleRequest[] {
  return Array.from({ length: request.samples }, (_, index) => ({
    promptTokens: request.promptTokens,
    randomSeed: [request.seed, request.promptId, request.policyVersion, request.firstSampleIndex + index],
  }));
}

/**
 * The rollout that row `index` of a request became. Its id follows from what determines it (run, prompt, policy version,
 * sample index), so that a redelivered request makes the same rollouts under the same ids.
 */
export function sampledRollout(request: SamplingRequest, index: number, response: SampledResponse): SampledRollout {
  const sampleIndex = request.firstSampleIndex + index;
  return {
    rolloutId: `${request.runId}/${request.promptId}/${request.policyVersion}/${sampleIndex}`,
    runId: request.runId,
    promptId: request.promptId,
    purpose: request.purpose,
    policyVersion: request.policyVersion,
    sampleIndex,
    seed: request.seed,
    promptTokens: request.promptTokens,
    responseTokens: Array.from(response.responseTokens),
    logProbs: Array.from(response.logProbs),
    ended: response.ended,
    temperature: request.temperature,
  };
}
