import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  CalibrationSource,
  Purpose,
  type CalibratedRollout,
  type LearningStatistics,
  type PolicyVersion,
  type SamplingRequest,
} from '@infalign/contracts';
import { createLanguageModel, initialWeights, type LanguageModelConfig, type Weights } from '@infalign/language-model';
import {
  openEmbeddedStream,
  outgoing,
  rolloutId,
  topics,
  type RolloutStream,
  type Topic,
  type Worker,
} from '@infalign/rollout-stream';
import { ppo } from './algorithms/ppo.js';
import { quickSettings } from './learning-settings.fixture.js';
import { baseOrigin, learnerName, learningWorker, policyVersionOf } from './pipeline.js';
import { createPolicyLearner, type LearnerSnapshot } from './policy-learner.js';
import type { ReadPositions } from './rollout-buffer.js';

const config: LanguageModelConfig = {
  vocabSize: 12,
  hiddenSize: 16,
  intermediateSize: 24,
  layers: 1,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 8,
  ropeTheta: 100,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: true,
  eosTokenId: 0,
};
export const runId = 'run';
export const iterations = 5;
const prompts = ['a', 'b', 'c', 'd'];
const promptsPerIteration = 3;
const rolloutsPerPrompt = 4;
/** Rollouts of an iteration. */
export const rolloutsPerIteration = promptsPerIteration * rolloutsPerPrompt;
const settings = { ...quickSettings, iterations, learningRate: 0.01 };

/** The requests of an iteration, each in a batch of its own. */
export function requestsOf(iteration: number, maxStaleness: number): SamplingRequest[] {
  const policyVersion = policyVersionOf(iteration, maxStaleness);
  return Array.from({ length: promptsPerIteration }, (_, index): SamplingRequest => {
    const promptId = prompts[(iteration + index) % prompts.length]!;
    return {
      requestId: `${promptId}/${iteration}`,
      runId,
      promptId,
      promptTokens: [1 + prompts.indexOf(promptId), 7],
      purpose: Purpose.PURPOSE_TRAINING,
      policyVersion,
      firstSampleIndex: (iteration - 1 - policyVersion) * rolloutsPerPrompt,
      samples: rolloutsPerPrompt,
      seed: 3,
      temperature: 1,
      topK: 0,
      topP: 1,
      maxResponseTokens: 4,
      batchId: `${promptId}/${iteration}`,
      batchRequests: 1,
    };
  });
}

const baseWeights = initialWeights(config, ['language-model'], 1);

/** A learner's checkpoint. */
interface Stored {
  readonly snapshot: LearnerSnapshot;
  readonly history: readonly LearningStatistics[];
  readonly positions: ReadPositions;
}

/** A run of a few iterations over a stream in a folder of its own, with what samples, scores and calibrates for it. */
export interface LearningStream {
  readonly stream: RolloutStream;
  /** A learner that goes on from the version announced last. */
  learner(over?: RolloutStream): Promise<Worker>;
  /** What has been announced: the versions, from 1 on. */
  announced(): Promise<PolicyVersion[]>;
  requests(): Promise<SamplingRequest[]>;
  /** The rollouts that were asked for and have not come, in the order of their requests. */
  outstanding(): Promise<CalibratedRollout[]>;
  append(rollouts: readonly CalibratedRollout[]): Promise<void>;
  /** The statistics of all iterations that were published last. */
  history(): readonly LearningStatistics[];
  remove(): Promise<void>;
}

/** Starts a run: its first requests are dispatched. */
export async function startLearning(partitions: number, maxStaleness = 0): Promise<LearningStream> {
  const folder = mkdtempSync(join(tmpdir(), 'learning-'));
  const stream = openEmbeddedStream(folder, { partitions });
  const checkpoints = new Map<string, Stored>();
  const models: { dispose(): void }[] = [];
  let history: readonly LearningStatistics[] = [];
  const came = new Set<string>();
  await stream.append(
    Array.from({ length: 1 + maxStaleness }, (_, ahead) => requestsOf(1 + ahead, maxStaleness))
      .flat()
      .map((request) => outgoing(topics.samplingRequests, request)),
  );

  const announced = (): Promise<PolicyVersion[]> => all(stream, topics.policyVersions);

  /** The weights that requests of a version are sampled with. */
  async function weightsOf(version: number): Promise<Weights> {
    if (version === 0) return baseWeights;
    const { checkpoint, contentHash } = (await announced()).find((one) => one.version === version)!;
    return checkpoints.get(`${checkpoint}/${contentHash}`)!.snapshot.weights;
  }

  return {
    stream,
    announced,
    async learner(over = stream) {
      const writer = await over.writer(learnerName(runId));
      const policy = createLanguageModel(config, baseWeights);
      const reference = createLanguageModel(config, baseWeights);
      models.push(policy, reference);
      const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-5 };
      const klStrength = { targetKl: 0.3, initialBeta: 1 };
      const learner = createPolicyLearner({
        algorithm: ppo(settings),
        policy,
        adam,
        reference,
        settings,
        klStrength,
        seed: 5,
      });
      const latest = (await announced()).at(-1);
      const stored = latest && checkpoints.get(`${latest.checkpoint}/${latest.contentHash}`)!;
      if (stored) learner.restore(stored.snapshot);
      let own = stored?.history ?? [];
      const beginning = Array<number>(over.partitions).fill(0);
      return learningWorker(over, writer, {
        runId,
        learner,
        iterations,
        maxStaleness,
        targetKl: 0.3,
        origin: baseOrigin,
        positions: stored?.positions ?? { from: beginning, counted: beginning },
        requests: (iteration) => requestsOf(iteration, maxStaleness),
        publish(version, statistics, positions) {
          history = own = [...own, statistics];
          const snapshot = learner.snapshot();
          const published = { checkpoint: `version-${version}`, contentHash: hashOf(snapshot) };
          checkpoints.set(`${published.checkpoint}/${published.contentHash}`, { snapshot, history: own, positions });
          return Promise.resolve(published);
        },
        announced: () => Promise.resolve(),
      });
    },
    requests: () => all(stream, topics.samplingRequests),
    async outstanding() {
      const rollouts: CalibratedRollout[] = [];
      for (const request of await all(stream, topics.samplingRequests)) {
        if (came.has(request.requestId)) continue;
        came.add(request.requestId);
        rollouts.push(...calibratedRollouts(request, await weightsOf(request.policyVersion)));
      }
      return rollouts;
    },
    append: (rollouts) => stream.append(rollouts.map((one) => outgoing(topics.rolloutCalibrated, one))),
    history: () => history,
    async remove() {
      for (const model of models) model.dispose();
      await stream.close();
      rmSync(folder, { recursive: true });
    },
  };
}

/** The same rollout as one of another run, or for another purpose. */
export function changedRollout(
  rollout: CalibratedRollout,
  change: { readonly runId?: string; readonly purpose?: Purpose },
): CalibratedRollout {
  const { scored } = rollout;
  return { ...rollout, scored: { ...scored!, rollout: { ...scored!.rollout!, ...change } } };
}

/** What sampler, scorer and calibrator make of a request. The more often token 5 comes, the better. */
function calibratedRollouts(request: SamplingRequest, weights: Weights): CalibratedRollout[] {
  const model = createLanguageModel(config, weights);
  const { seed, promptId, policyVersion, firstSampleIndex, promptTokens, temperature, topK, topP } = request;
  const indices = Array.from({ length: request.samples }, (_, index) => firstSampleIndex + index);
  const responses = model.sample(
    indices.map((index) => ({ promptTokens, randomSeed: [seed, promptId, policyVersion, index] })),
    { temperature, topK, topP, maxResponseTokens: request.maxResponseTokens },
  );
  model.dispose();
  return responses.map(({ responseTokens, logProbs, ended }, row): CalibratedRollout => {
    const reward = responseTokens.filter((token) => token === 5).length - responseTokens[0]! / 20;
    const calibratedReward = Math.min(1, Math.max(0, (reward + 1) / 3));
    return {
      scored: {
        rollout: {
          rolloutId: rolloutId({ runId, promptId, policyVersion, sampleIndex: indices[row]! }),
          runId,
          promptId,
          purpose: request.purpose,
          policyVersion,
          sampleIndex: indices[row]!,
          seed,
          promptTokens,
          responseTokens: Array.from(responseTokens),
          logProbs: Array.from(logProbs),
          ended,
          temperature,
          batchId: request.batchId,
          batchRollouts: request.samples,
        },
        reward: { model: 'reward-model', modelVersion: 'v', reward },
        judge: undefined,
      },
      calibratedReward,
      transformedReward: (calibratedReward - 0.5) * Math.sqrt(12),
      transformation: 'identity',
      calibrationVersion: 1,
      references: 8,
      source: CalibrationSource.CALIBRATION_SOURCE_PROMPT,
    };
  });
}

/** Of all that a learner's future depends on. */
function hashOf({ weights, optimiser, ...rest }: LearnerSnapshot): string {
  const hash = createHash('sha256').update(JSON.stringify([rest, optimiser.steps]));
  for (const arrays of [weights, optimiser.moments]) {
    for (const [name, { data }] of arrays)
      hash.update(name).update(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  }
  return hash.digest('hex');
}

async function all<T>(stream: RolloutStream, topic: Topic<T>): Promise<T[]> {
  const values: T[] = [];
  for await (const { value } of stream.readAll(topic)) values.push(value);
  return values;
}
