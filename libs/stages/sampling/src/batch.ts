import type { SampledRollout, SamplingRequest } from '@infalign/contracts';
import type { LanguageModel, SampledResponse, SampleRequest } from '@infalign/language-model';
import { rolloutId } from '@infalign/rollout-stream';

/**
 * Decodes the requests of one batch together: those have one policy version and one way of sampling. Every sample has its
 * own stream of random numbers.
 *
 * @returns request by request, by ascending sample index; their batch is that of the requests
 */
export function sampledRollouts(requests: readonly SamplingRequest[], policy: LanguageModel): SampledRollout[] {
  const [first] = requests;
  if (!first) return [];
  const { temperature, topK, topP, maxResponseTokens } = first;
  const responses = policy.sample(requests.flatMap(sampleRequests), { temperature, topK, topP, maxResponseTokens });
  let row = 0;
  return requests.flatMap((request) =>
    Array.from({ length: request.samples }, (_, index) =>
      sampledRollout(request, index, responses[row++]!, responses.length),
    ),
  );
}

/** The rows of a decoding batch that one request asks for: the same prompt, each with its own stream of random numbers. */
function sampleRequests(request: SamplingRequest): SampleRequest[] {
  return Array.from({ length: request.samples }, (_, index) => ({
    promptTokens: request.promptTokens,
    randomSeed: [request.seed, request.promptId, request.policyVersion, request.firstSampleIndex + index],
  }));
}

/** The rollout that row `index` of a request became. */
function sampledRollout(
  request: SamplingRequest,
  index: number,
  response: SampledResponse,
  batchRollouts: number,
): SampledRollout {
  const sampleIndex = request.firstSampleIndex + index;
  return {
    rolloutId: rolloutId({ ...request, sampleIndex }),
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
    batchId: request.batchId,
    batchRollouts,
  };
}
