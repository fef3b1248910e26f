import { CalibrationSource, Purpose, type CalibratedRollout } from '@infalign/contracts';
import { algorithms, seededRandom, type Algorithm, type Transformation } from '@infalign/core';
import {
  createLanguageModel,
  initialWeights,
  withHeads,
  type AdapterSettings,
  type LanguageModel,
  type LanguageModelConfig,
  type Weights,
} from '@infalign/language-model';
import { learningAlgorithms } from './algorithms/index.js';
import type { AllSettings } from './learning-settings.fixture.js';
import { createPolicyLearner, type KlStrength, type PolicyLearner } from './policy-learner.js';

const endOfText = 17;
const promptTokens = [
  [1, 2],
  [3, 4, 5],
];
/** Everything that can be said in two tokens: 1 + 17·18 = 307 responses. */
const responses: readonly (readonly number[])[] = [
  [endOfText],
  ...Array.from({ length: endOfText }, (_, first) =>
    Array.from({ length: endOfText + 1 }, (_, second) => [first, second]),
  ).flat(),
];
const temperature = 0.8;
const policyHeads = ['language-model', 'value'] as const;

const config: LanguageModelConfig = {
  vocabSize: endOfText + 1,
  hiddenSize: 48,
  intermediateSize: 96,
  layers: 2,
  heads: 2,
  keyValueHeads: 1,
  maxPositions: 5,
  ropeTheta: 10_000,
  rmsNormEpsilon: 1e-5,
  tieWordEmbeddings: false,
  eosTokenId: endOfText,
};

/** Numbers by prompt and response. */
export type Table = readonly (readonly number[])[];

/** A task small enough to know everything about it. */
export interface EnumeratedTask {
  readonly weights: Weights;
  readonly reference: LanguageModel;
  readonly referenceProbabilities: Table;
  /** Arbitrary, with many ties. */
  readonly rewards: Table;
  /** Exact: the chance to beat a response of the reference policy, ties one half. */
  readonly calibratedRewards: Table;
}

/** A task whose reference policy is far from uniform, and whose rewards are arbitrary. */
export function enumeratedTask(seed: number): EnumeratedTask {
  const weights = new Map(
    [...initialWeights(config, policyHeads, seed)].map(([name, { shape, data }]) => [
      name,
      { shape, data: name.includes('norm') ? data : data.map((weight) => 8 * weight) },
    ]),
  );
  const reference = createLanguageModel(config, weights);
  const referenceProbabilities = responseProbabilities(reference);
  const random = seededRandom('rewards', seed);
  const rewards = promptTokens.map(() => responses.map(() => Math.round(4 * random.normal()) / 4));
  const calibratedRewards = rewards.map((ofPrompt, prompt) =>
    ofPrompt.map((reward) => {
      const wins = ofPrompt.map((other) => (reward > other ? 1 : reward === other ? 0.5 : 0));
      return dot(referenceProbabilities[prompt]!, wins);
    }),
  );
  return { weights, reference, referenceProbabilities, rewards, calibratedRewards };
}

/** π(y|x) of every response to every prompt, exactly. */
export function responseProbabilities(model: LanguageModel): Table {
  return promptTokens.map((prompt) => {
    const sequences = responses.map((responseTokens) => ({ promptTokens: prompt, responseTokens }));
    return model.responseLogProbs(sequences, temperature).map((logProbs) => Math.exp(sum(logProbs)));
  });
}

/** The optimum of E[Φ(C)] − β·KL: π* ∝ πref·e^{Φ(C)/β}, Φ and β normalised. */
export function optimalProbabilities(task: EnumeratedTask, transformation: Transformation, beta: number): Table {
  return task.referenceProbabilities.map((ofPrompt, prompt) => {
    const tilted = ofPrompt.map(
      (probability, y) => probability * Math.exp(transformation.normalised(task.calibratedRewards[prompt]![y]!) / beta),
    );
    const total = sum(tilted);
    return tilted.map((value) => value / total);
  });
}

/** KL(π ‖ πref), the mean over prompts, in nats. */
export function exactKl(task: EnumeratedTask, probabilities: Table): number {
  return mean(
    probabilities.map((ofPrompt, prompt) =>
      dot(
        ofPrompt,
        ofPrompt.map((probability, y) => Math.log(probability / task.referenceProbabilities[prompt]![y]!)),
      ),
    ),
  );
}

/** The chance that the best of N responses of π beats the best of N of πref, ties one half; the mean over prompts. */
export function exactBestOfNWinRate(task: EnumeratedTask, probabilities: Table, n: number): number {
  return mean(
    task.rewards.map((ofPrompt, prompt) => {
      const levels = [...new Set(ofPrompt)].sort((a, b) => a - b);
      const bestAtMost = (table: Table) =>
        levels.map(
          (level) =>
            dot(
              table[prompt]!,
              ofPrompt.map((reward) => (reward <= level ? 1 : 0)),
            ) ** n,
        );
      const policy = bestAtMost(probabilities);
      const reference = bestAtMost(task.referenceProbabilities);
      return sum(
        levels.map((_, i) => (policy[i]! - (policy[i - 1] ?? 0)) * ((reference[i]! + (reference[i - 1] ?? 0)) / 2)),
      );
    }),
  );
}

/** How the task's policy is trained. */
export interface Training {
  readonly algorithm: Algorithm;
  readonly settings: AllSettings;
  readonly klStrength: KlStrength;
  readonly rolloutsPerPrompt: number;
  readonly seed: number;
  readonly adapters?: AdapterSettings;
}

/** Samples of the policy that the algorithm learns from, with their exact calibrated and transformed rewards. */
export function sampledRollouts(
  task: EnumeratedTask,
  learning: LanguageModel,
  transformation: Transformation,
  { algorithm, seed, rolloutsPerPrompt }: Pick<Training, 'algorithm' | 'seed' | 'rolloutsPerPrompt'>,
  iteration: number,
): CalibratedRollout[] {
  const isOnPolicy = algorithms[algorithm].learnsFrom === 'policy';
  const policy = isOnPolicy ? learning : task.reference;
  const requests = promptTokens.flatMap((tokens, prompt) =>
    Array.from({ length: rolloutsPerPrompt }, (_, index) => ({
      promptTokens: tokens,
      randomSeed: ['rollout', seed, iteration, prompt, index],
    })),
  );
  return policy
    .sample(requests, { temperature, topK: 0, topP: 1, maxResponseTokens: 2 })
    .map(({ responseTokens, logProbs, ended }, index): CalibratedRollout => {
      const prompt = Math.floor(index / rolloutsPerPrompt);
      const y = indexOf(responseTokens);
      const calibratedReward = task.calibratedRewards[prompt]![y]!;
      return {
        scored: {
          rollout: {
            rolloutId: `${iteration}/${index}`,
            runId: 'enumeration',
            promptId: String(prompt),
            purpose: Purpose.PURPOSE_TRAINING,
            policyVersion: isOnPolicy ? iteration : 0,
            sampleIndex: index % rolloutsPerPrompt,
            batchId: String(iteration),
            batchRollouts: requests.length,
            seed,
            promptTokens: promptTokens[prompt]!,
            responseTokens: Array.from(responseTokens),
            logProbs: Array.from(logProbs),
            ended,
            temperature,
          },
          reward: { model: 'table', modelVersion: '0', reward: task.rewards[prompt]![y]! },
          judge: undefined,
        },
        calibratedReward,
        transformedReward: transformation.normalised(calibratedReward),
        transformation: transformation.name,
        calibrationVersion: 1,
        references: 1,
        source: CalibrationSource.CALIBRATION_SOURCE_PROMPT,
      };
    });
}

/** A learner on the task's policy, at its beginning. */
export function learnerOf(task: EnumeratedTask, training: Training): { learner: PolicyLearner; policy: LanguageModel } {
  const { adapters } = training;
  const policy = adapters
    ? createLanguageModel({ ...config, adapters }, withHeads({ ...config, adapters }, task.weights, policyHeads))
    : createLanguageModel(config, task.weights);
  const adam = { beta1: 0.9, beta2: 0.999, epsilon: 1e-5 };
  const { settings, klStrength, seed } = training;
  const algorithm = learningAlgorithms[training.algorithm](settings);
  const critic =
    algorithm.valuesFrom === 'critic'
      ? createLanguageModel(config, withHeads(config, task.weights, ['value']))
      : undefined;
  const parts = { algorithm, policy, critic, adam, reference: task.reference, settings, klStrength, seed };
  return { learner: createPolicyLearner(parts), policy };
}

/** Trains to the end. @returns the policy's exact probabilities */
export function trainedProbabilities(task: EnumeratedTask, transformation: Transformation, training: Training): Table {
  const { learner, policy } = learnerOf(task, training);
  while (learner.iteration < training.settings.iterations) {
    learner.learn(sampledRollouts(task, policy, transformation, training, learner.iteration));
  }
  const probabilities = responseProbabilities(policy);
  policy.dispose();
  return probabilities;
}

function indexOf(tokens: ArrayLike<number>): number {
  return tokens[0] === endOfText ? 0 : 1 + tokens[0]! * (endOfText + 1) + tokens[1]!;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let index = 0; index < values.length; index++) total += values[index]!;
  return total;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((total, value, index) => total + value * b[index]!, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
